//! Sockets and who has them.

use abi::error::Error;
use driver_sdk::sockets::Ready;
use socket::inbox::Received;
use socket::socket::Kind;
use socket::sockets::{Change, Id, Sent, Sockets, Take};

pub fn errno<T>(errno: i32) -> Result<T, Error> {
    Err(Error::new(errno))
}

/// Takes the urgent byte.
pub const URGENT: Take = Take { urgent: true, all: false };

#[derive(Default)]
pub struct World(pub Sockets<u32>);

impl World {
    pub fn socket(&mut self, kind: Kind) -> Id {
        self.0.create(kind, 1, 100)
    }

    pub fn pair(&mut self, kind: Kind) -> (Id, Id) {
        let one = self.socket(kind);
        (one, self.0.pair(one, 2, 200).expect("a pair"))
    }

    pub fn listener(&mut self, name: &str, backlog: i32) -> Id {
        let listener = self.socket(Kind::Stream);
        self.0.bind(listener, name).unwrap();
        self.0.listen(listener, backlog).unwrap();
        listener
    }

    pub fn send(&mut self, id: Id, bytes: &[u8]) -> Result<usize, Error> {
        self.0.send(id, Sent { bytes, to: None, handles: &mut vec![], urgent: false })
    }

    pub fn send_to(&mut self, id: Id, to: &str, bytes: &[u8]) -> Result<usize, Error> {
        self.0.send(id, Sent { bytes, to: Some(to), handles: &mut vec![], urgent: false })
    }

    pub fn send_urgent(&mut self, id: Id, bytes: &[u8]) -> Result<usize, Error> {
        self.0.send(id, Sent { bytes, to: None, handles: &mut vec![], urgent: true })
    }

    pub fn send_with(&mut self, id: Id, bytes: &[u8], handles: &[u32]) -> Result<usize, Error> {
        self.0.send(id, Sent { bytes, to: None, handles: &mut handles.to_vec(), urgent: false })
    }

    pub fn take(&mut self, id: Id, wanted: usize, take: Take) -> Result<(Vec<u8>, Received<u32>), Error> {
        let mut buffer = vec![0; wanted];
        let (received, _) = self.0.receive(id, &mut buffer, take)?;
        buffer.truncate(received.count);
        Ok((buffer, received))
    }

    pub fn receive(&mut self, id: Id, wanted: usize) -> Result<Vec<u8>, Error> {
        self.take(id, wanted, Take::default()).map(|(bytes, _)| bytes)
    }

    pub fn readable(&self, id: Id) -> Ready {
        self.0.get(id).unwrap().readable()
    }

    pub fn changes(&mut self) -> Vec<Change> {
        self.0.take_changes()
    }
}

pub fn ready(amount: usize) -> Ready {
    Ready { amount, ..Ready::default() }
}

pub fn end(amount: usize) -> Ready {
    Ready { amount, end: true, ..Ready::default() }
}
