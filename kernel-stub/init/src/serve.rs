//! Receives, and has the library decide.

use alloc::vec::Vec;

use abi::{
    error::{EINVAL, Error, Result},
    start::StartHeader,
};
use init::{Init, check, read};
use init_protocol::{
    manifest::{self, Manifest},
    request::{LABEL, Request},
};
use rt::{
    Start,
    ipc::{self, Arrived, serve},
    sys::{AnyHandle, Endpoint, Hardware, Notification, Object, Process},
};

use crate::{archive::Files, machine::Machine, off::Board};

/// Status of a machine that cannot be set up at all.
const BROKEN: u8 = 126;

/// Sets up the machine and serves for as long as it is on.
pub fn main(start: &Start) -> i32 {
    let header = start.header();
    let board =
        Board { hardware: Hardware::from_handle(header.hardware), own: Process::from_handle(header.process) };
    let endpoint = match Endpoint::create() {
        Ok(endpoint) => endpoint,
        Err(error) => {
            rt::log!("init: no endpoint: {error}");
            board.off(BROKEN)
        }
    };
    let mut machine = match machine(header, board, &endpoint) {
        Ok(machine) => machine,
        Err(board) => board.off(BROKEN),
    };
    let manifest = match machine.files.file(manifest::FILE) {
        Ok(file) => {
            let (manifest, error) = read::manifest(file.data);
            if let Some(error) = error {
                rt::log!("init: {error}");
            }
            manifest
        }
        Err(failure) => {
            rt::log!("init: file \"{}\" of the archive: {failure}", manifest::FILE);
            Manifest::default()
        }
    };
    let (programs, skipped) = check::manifest(manifest, |path| machine.files.exists(path));
    let mut server = Server(Init::new(machine, programs, &skipped));
    server.0.boot();
    let error = serve(&endpoint, &mut server);
    rt::log!("init: cannot receive: {error}");
    i32::from(BROKEN)
}

/// What init has, or the board to power off with.
fn machine(header: &StartHeader, board: Board, endpoint: &Endpoint) -> core::result::Result<Machine, Board> {
    let files = match Files::new(header) {
        Ok(files) => files,
        Err(failure) => {
            rt::log!("init: the boot archive cannot be used: {failure}");
            return Err(board);
        }
    };
    let ends = Notification::create().and_then(|ends| ends.bind(None).map(|()| ends));
    match (ends, endpoint.duplicate()) {
        (Ok(ends), Ok(endpoint)) => Ok(Machine { files, endpoint, ends, board }),
        (Err(error), _) | (_, Err(error)) => {
            rt::log!("init: no notification: {error}");
            Err(board)
        }
    }
}

struct Server(Init<Machine>);

impl ipc::Service for Server {
    fn request(&mut self, mut request: ipc::Request) -> Option<ipc::Reply> {
        let document = match request.label {
            LABEL => request.decode::<Request>(),
            _ => Err(Error::new(EINVAL)),
        };
        let handles = (0..abi::message::MAX_HANDLES).filter_map(|slot| request.arrivals.take(slot));
        let handles: Result<Vec<AnyHandle>> = handles
            .map(|arrived| match arrived {
                Arrived::Handle(handle, _) => Ok(handle),
                // init's own endpoint is for calling it, not for giving away.
                Arrived::Badge(_) => Err(Error::new(EINVAL)),
            })
            .collect();
        match (document, handles) {
            (document, Ok(handles)) => self.0.asked(request.badge, request.token, document, handles),
            (_, Err(error)) => self.0.asked(request.badge, request.token, Err(error), Vec::new()),
        }
        None
    }

    fn notified(&mut self, bits: u64) {
        self.0.ended(bits);
    }

    fn deadline(&self) -> u64 {
        self.0.deadline()
    }

    fn expired(&mut self) {
        self.0.tick();
    }
}
