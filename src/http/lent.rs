//! Places at a listener that is not for everybody who can reach it. They are lent: a connection on which nobody has been
//! recognised gives way to the next one, and what has come first gives way first. So nobody keeps others out by being
//! there.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::{Rc, Weak};
use std::time::Duration;

use actix_http::error::DispatchError;
use actix_web::HttpRequest;
use actix_web::rt::net::TcpStream;

use super::connection::{Connection, Course};
use super::server::prepare;

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

    /// Lets a connection in, if need be in the place of the stranger who came first.
    pub(super) fn enter(
        &self,
        socket: TcpStream,
        stalled: Duration,
    ) -> Result<(Connection, Option<SocketAddr>), DispatchError> {
        let peer = socket.peer_addr()?;
        prepare(&socket, stalled);
        let connection = Connection::new(socket, None);
        let mut strangers = self.strangers.borrow_mut();
        strangers.retain(|known| known.upgrade().is_some_and(|course| course.is_strangers()));
        if strangers.len() >= self.most {
            strangers.remove(0).upgrade().iter().for_each(|course| course.cut());
        }
        strangers.push(Rc::downgrade(connection.course()));
        Ok((connection, Some(peer)))
    }
}
