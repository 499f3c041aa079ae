//! The few words of rtnetlink(7) that we need: a request is a header, a fixed part and attributes, and the
//! kernel answers with an error number.

use std::io;

use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType};
use rustix::net::{recv, sendto, socket_with};

pub(super) const NEW_LINK: u16 = 16;
pub(super) const NEW_RULE: u16 = 32;
/// Make it, and say so if it is there already.
pub(super) const CREATE: u16 = 0x400 | 0x200;

const HEADER: usize = 16;
const REQUEST: u16 = 1;
const ACKNOWLEDGE: u16 = 4;
/// Number 0, which stands for none elsewhere.
const ROUTE: Option<Protocol> = None;

/// Sends one request and waits for what the kernel says to it.
pub(super) fn request(kind: u16, flags: u16, body: &[u8]) -> io::Result<()> {
    let length = u32::try_from(HEADER + body.len()).map_err(io::Error::other)?;
    let mut message = Vec::with_capacity(HEADER + body.len());
    message.extend(length.to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend((flags | REQUEST | ACKNOWLEDGE).to_ne_bytes());
    message.extend([0; 8]); // sequence and port
    message.extend(body);
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, ROUTE)?;
    sendto(&socket, &message, SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;
    let mut answer = [0u8; 512];
    let (length, _) = recv(&socket, &mut answer[..], RecvFlags::empty())?;
    let error = answer[..length].get(HEADER..HEADER + 4).and_then(|bytes| bytes.try_into().ok());
    match error.map(i32::from_ne_bytes) {
        Some(0) => Ok(()),
        Some(error) => Err(io::Error::from_raw_os_error(-error)),
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// An attribute: its length, its kind, its value, up to the next multiple of four.
pub(super) fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(4 + value.len()).unwrap_or(u16::MAX);
    let mut attribute = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
    attribute.extend(value);
    attribute.resize(attribute.len().next_multiple_of(4), 0);
    attribute
}
