//! The few words of rtnetlink(7) that we need: a request is a header, a fixed part and attributes, and the
//! kernel answers with an error number, or with messages of the same form.

use std::io;
use std::os::fd::OwnedFd;

use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType};
use rustix::net::{recv, sendto, socket_with};

pub(super) const NEW_LINK: u16 = 16;
pub(in crate::backend) const GET_ADDRESS: u16 = 22;
pub(super) const NEW_RULE: u16 = 32;
/// Make it, and say so if it is there already.
pub(super) const CREATE: u16 = 0x400 | 0x200;

const HEADER: usize = 16;
const REQUEST: u16 = 1;
const ACKNOWLEDGE: u16 = 4;
/// Everything there is.
const DUMP: u16 = 0x300;
/// Kinds of what comes back: a number, and the end of a list.
const ERROR: u16 = 2;
const DONE: u16 = 3;
/// The kernel fills no more at once.
const LARGEST: usize = 32 * 1024;
/// Number 0, which stands for none elsewhere.
const ROUTE: Option<Protocol> = None;

/// Sends one request and waits for what the kernel says to it.
pub(super) fn request(kind: u16, flags: u16, body: &[u8]) -> io::Result<()> {
    let socket = send(kind, flags | ACKNOWLEDGE, body)?;
    let mut answer = [0u8; 512];
    let (length, _) = recv(&socket, &mut answer[..], RecvFlags::empty())?;
    said(answer[..length].get(HEADER..).unwrap_or_default())
}

/// Asks for a list. Of each entry, what follows its header.
pub(in crate::backend) fn list(kind: u16, body: &[u8]) -> io::Result<Vec<Vec<u8>>> {
    let socket = send(kind, DUMP, body)?;
    let mut answer = vec![0u8; LARGEST];
    let mut entries = Vec::new();
    loop {
        let (length, _) = recv(&socket, &mut answer[..], RecvFlags::empty())?;
        let mut rest = &answer[..length];
        while let Some((kind, entry, others)) = first(rest) {
            match kind {
                DONE => return Ok(entries),
                ERROR => said(entry)?,
                _ => entries.push(entry.to_vec()),
            }
            rest = others;
        }
    }
}

fn send(kind: u16, flags: u16, body: &[u8]) -> io::Result<OwnedFd> {
    let length = u32::try_from(HEADER + body.len()).map_err(io::Error::other)?;
    let mut message = Vec::with_capacity(HEADER + body.len());
    message.extend(length.to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend((flags | REQUEST).to_ne_bytes());
    message.extend([0; 8]); // sequence and port
    message.extend(body);
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, ROUTE)?;
    sendto(&socket, &message, SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;
    Ok(socket)
}

/// What an answer of the kind [`ERROR`] says; 0 is none.
fn said(answer: &[u8]) -> io::Result<()> {
    match answer.first_chunk().copied().map(i32::from_ne_bytes) {
        Some(0) => Ok(()),
        Some(error) => Err(io::Error::from_raw_os_error(-error)),
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// The first message: its kind, what follows its header, and the messages behind it.
fn first(messages: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let length = usize::try_from(u32::from_ne_bytes(*messages.first_chunk()?)).ok()?;
    let kind = u16::from_ne_bytes(*messages.get(4..)?.first_chunk()?);
    let others = messages.get(length.next_multiple_of(4)..).unwrap_or_default();
    Some((kind, messages.get(HEADER..length)?, others))
}

/// The attributes of a message: of each its kind and its value.
pub(in crate::backend) fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16::from_ne_bytes(*bytes.first_chunk()?));
        let kind = u16::from_ne_bytes(*bytes.get(2..)?.first_chunk()?);
        let value = bytes.get(4..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// An attribute: its length, its kind, its value, up to the next multiple of four.
pub(super) fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(4 + value.len()).unwrap_or(u16::MAX);
    let mut attribute = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
    attribute.extend(value);
    attribute.resize(attribute.len().next_multiple_of(4), 0);
    attribute
}
