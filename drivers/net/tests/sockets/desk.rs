//! What programs ask of sockets, and a pair of them.

use crate::fake::Got;
use crate::wire::Desk;
use abi::error::{EINPROGRESS, Error};
use abi::flag::O_RDWR;
use driver_sdk::{Control, ControlReply, FileId, Level};
use event_protocol::descriptor::NONBLOCK;
use event_protocol::descriptor::names::{ACCEPT, INET_DATAGRAM_SOCKET, INET_STREAM_SOCKET};

pub const SECOND: u64 = 1_000_000_000;

pub fn bytes(got: Got) -> Vec<u8> {
    match got {
        Got::Data(bytes, _) => bytes,
        Got::Count(0) => vec![],
        other => panic!("{other:?}"),
    }
}

impl Desk {
    pub fn stream(&mut self, client: u64) -> FileId {
        self.bench.open(INET_STREAM_SOCKET, O_RDWR, client).expect("a stream")
    }

    pub fn datagram(&mut self, client: u64) -> FileId {
        self.bench.open(INET_DATAGRAM_SOCKET, O_RDWR, client).expect("a datagram socket")
    }

    pub fn bind(&mut self, file: FileId, address: &str) -> abi::error::Result<ControlReply> {
        self.bench.control(file, Control::Bind(address.into()))
    }

    pub fn listener(&mut self, client: u64, address: &str, backlog: i32) -> FileId {
        let file = self.stream(client);
        self.bind(file, address).expect("an address");
        self.bench.control(file, Control::Listen(backlog)).expect("a listener");
        file
    }

    pub fn connect(&mut self, file: FileId, address: &str) -> abi::error::Result<ControlReply> {
        let begun = self.bench.control(file, Control::Connect(address.into()));
        assert_eq!(begun, Err(Error::new(EINPROGRESS)));
        self.settle();
        let token = self.bench.begin_control(file, Control::Connected, NONBLOCK);
        match self.bench.got(token).expect("an answer") {
            Got::Control(reply) => Ok(reply),
            Got::Errno(errno) => Err(Error::new(errno)),
            other => panic!("{other:?}"),
        }
    }

    pub fn accept(&mut self, listener: FileId) -> abi::error::Result<FileId> {
        self.bench.open_at(listener, ACCEPT, O_RDWR, 1)
    }

    /// The two ends of a connection: who connected, and who accepted.
    pub fn pair(&mut self) -> (FileId, FileId) {
        let listener = self.listener(1, "127.0.0.1:80", 5);
        let client = self.stream(2);
        self.connect(client, "127.0.0.1:80").expect("a connection");
        let server = self.accept(listener).expect("the connection");
        self.bench.close(listener);
        self.settle();
        (client, server)
    }

    pub fn read_level(&mut self, file: FileId) -> Level {
        self.bench.source(file).read
    }

    pub fn write_level(&mut self, file: FileId) -> Level {
        self.bench.source(file).write
    }

    pub fn name(&mut self, file: FileId, control: Control) -> String {
        match self.bench.control(file, control) {
            Ok(ControlReply::Address(address)) => address,
            other => panic!("{other:?}"),
        }
    }

    pub fn take_error(&mut self, file: FileId) -> i64 {
        match self.bench.control(file, Control::TakeError) {
            Ok(ControlReply::Number(errno)) => errno,
            other => panic!("{other:?}"),
        }
    }
}
