//! Places at a listener that is not for everybody who can reach it. They are lent: a connection on which nobody has been
//! recognised gives way to the next one, and what has come first gives way first. So nobody keeps others out by being
//! there.

use std::cell::RefCell;
use std::rc::{Rc, Weak};

use actix_web::HttpRequest;

use super::connection::Course;

/// The places of strangers, of whom one worker of a listener has so many.
#[derive(Debug)]
pub(super) struct Lent {
    most: usize,
    /// Whoever came first in front.
    strangers: RefCell<Vec<Weak<Course>>>,
}

/// Notes that whoever has sent this request is whom the listener is for: its connection gives way to nobody any more.
pub(super) fn keep(request: &HttpRequest) {
    if let Some(course) = request.conn_data::<Rc<Course>>() {
        course.is_known();
    }
}

impl Lent {
    pub(super) fn new(most: usize) -> Self {
        Self { most, strangers: RefCell::default() }
    }

    /// Lends a place, if need be that of the stranger who came first.
    pub(super) fn take(&self, course: &Rc<Course>) {
        let mut strangers = self.strangers.borrow_mut();
        strangers.retain(|known| known.upgrade().is_some_and(|course| course.is_strangers()));
        if strangers.len() >= self.most {
            strangers.remove(0).upgrade().iter().for_each(|course| course.cut());
        }
        strangers.push(Rc::downgrade(course));
    }
}
