//! The kernel's own tables, as data: what netlink tells of them ([`event`]),
//! which of the routes there are candidates for us ([`import`]), and which of
//! ours belong there ([`export`]).

pub mod event;
pub mod export;
pub mod import;
