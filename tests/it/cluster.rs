//! Several gateways that serve the same clients: real processes on machines of their own, a real store, and in front of
//! them what stands there in the field. Needs root, for the machines are network namespaces.

mod deaths;
mod front;
mod lan;
mod load;
mod nodes;
mod proxy;
mod replay;
mod rolling;
mod store;
mod stores;
mod talk;
mod toys;
mod wire;
