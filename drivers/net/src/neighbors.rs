//! Who has which address on the card's network (ARP, RFC 826), and what waits to be sent to who is not known yet.
//!
//! Each is asked for on its own, and what waits for one holds up nobody else: the stack has its sockets wait in a row for one
//! question a second, so that an address which nobody has would keep all others from being found.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::net::Ipv4Addr;
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{ArpOperation, ArpPacket, ArpRepr, EthernetAddress};

/// Neighbours that are known or asked for, at most: as many as a network of 24 bits has.
const MOST: usize = 256;
/// Packets that wait for one; of more the oldest is lost, as on its way.
const WAITING: usize = 4;
/// It is asked for so often,
const QUESTIONS: u8 = 3;
/// and again after so long.
const PATIENCE: Duration = Duration::from_secs(1);
/// What is known is asked for anew after so long.
const LIFETIME: Duration = Duration::from_secs(60);

#[derive(Debug)]
enum Neighbor {
    Known { at: EthernetAddress, until: Instant },
    Asked { times: u8, again: Instant, waiting: VecDeque<Vec<u8>> },
}

/// The neighbours.
#[derive(Debug, Default)]
pub struct Neighbors {
    known: BTreeMap<Ipv4Addr, Neighbor>,
}

/// What is to be done with a packet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Way {
    /// It goes there.
    To(EthernetAddress, Vec<u8>),
    /// It waits, and its neighbour is asked for now.
    Ask,
    /// It waits.
    Wait,
}

impl Neighbors {
    /// A packet is to be sent to a neighbour.
    pub fn send(&mut self, to: Ipv4Addr, packet: Vec<u8>, now: Instant) -> Way {
        match self.known.get_mut(&to) {
            Some(Neighbor::Known { at, until }) if now < *until => return Way::To(*at, packet),
            Some(Neighbor::Asked { waiting, .. }) => {
                if waiting.len() == WAITING {
                    waiting.pop_front();
                }
                waiting.push_back(packet);
                return Way::Wait;
            }
            Some(Neighbor::Known { .. }) | None => {}
        }
        if self.known.len() >= MOST {
            self.forget_one();
        }
        let waiting = VecDeque::from([packet]);
        self.known.insert(to, Neighbor::Asked { times: 1, again: now + PATIENCE, waiting });
        Way::Ask
    }

    /// Whose time is over first gives way.
    fn forget_one(&mut self) {
        let time = |neighbor: &Neighbor| match neighbor {
            Neighbor::Known { until, .. } => *until,
            Neighbor::Asked { again, .. } => *again,
        };
        let first = self.known.iter().min_by_key(|(_, neighbor)| time(neighbor)).map(|(&address, _)| address);
        if let Some(first) = first {
            self.known.remove(&first);
        }
    }

    /// Somebody told of itself: what waited for it, if it was asked for. Nobody else is listened to.
    pub fn hear(&mut self, frame: &[u8], now: Instant) -> Option<(EthernetAddress, VecDeque<Vec<u8>>)> {
        let packet = ArpPacket::new_checked(frame).ok()?;
        let Ok(ArpRepr::EthernetIpv4 { source_hardware_addr: at, source_protocol_addr: who, .. }) =
            ArpRepr::parse(&packet)
        else {
            return None;
        };
        let neighbor = self.known.get_mut(&who).filter(|_| at.is_unicast())?;
        match core::mem::replace(neighbor, Neighbor::Known { at, until: now + LIFETIME }) {
            Neighbor::Asked { waiting, .. } => Some((at, waiting)),
            Neighbor::Known { .. } => None,
        }
    }

    /// Whom to ask for again. Who has been asked for often enough is not there, and what waited for it is lost.
    pub fn expired(&mut self, now: Instant) -> Vec<Ipv4Addr> {
        let mut ask = Vec::new();
        self.known.retain(|&address, neighbor| match neighbor {
            Neighbor::Known { until, .. } => now < *until,
            Neighbor::Asked { again, .. } if now < *again => true,
            Neighbor::Asked { times, .. } if *times >= QUESTIONS => false,
            Neighbor::Asked { times, again, .. } => {
                (*times, *again) = (*times + 1, now + PATIENCE);
                ask.push(address);
                true
            }
        });
        ask
    }

    /// When [`Neighbors::expired`] has somebody to ask for or to give up.
    pub fn deadline(&self) -> Option<Instant> {
        let asked = |neighbor: &Neighbor| match neighbor {
            Neighbor::Known { .. } => None,
            Neighbor::Asked { again, .. } => Some(*again),
        };
        self.known.values().filter_map(asked).min()
    }

    /// The card is on another network.
    pub fn clear(&mut self) {
        self.known.clear();
    }
}

/// The question who has an address.
pub fn question(mac: EthernetAddress, own: Ipv4Addr, wanted: Ipv4Addr) -> ArpRepr {
    ArpRepr::EthernetIpv4 {
        operation: ArpOperation::Request,
        source_hardware_addr: mac,
        source_protocol_addr: own,
        target_hardware_addr: EthernetAddress([0; 6]),
        target_protocol_addr: wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    const MAC: EthernetAddress = EthernetAddress([2, 0, 0, 0, 0, 7]);

    fn host(number: u16) -> Ipv4Addr {
        let [high, low] = number.to_be_bytes();
        Ipv4Addr::new(10, 0, high, low)
    }

    fn answer(who: Ipv4Addr, at: EthernetAddress) -> Vec<u8> {
        let repr = ArpRepr::EthernetIpv4 {
            operation: ArpOperation::Reply,
            source_hardware_addr: at,
            source_protocol_addr: who,
            target_hardware_addr: EthernetAddress([2, 0, 0, 0, 0, 1]),
            target_protocol_addr: host(1),
        };
        let mut bytes = vec![0; repr.buffer_len()];
        repr.emit(&mut ArpPacket::new_unchecked(&mut bytes));
        bytes
    }

    #[test]
    fn what_waits_for_one_does_not_hold_up_others() {
        let mut neighbors = Neighbors::default();
        let now = Instant::from_secs(1);
        assert_eq!(neighbors.send(host(77), vec![1], now), Way::Ask);
        assert_eq!(neighbors.send(host(77), vec![2], now), Way::Wait);
        assert_eq!(neighbors.send(host(3), vec![3], now), Way::Ask);
        let (at, waiting) = neighbors.hear(&answer(host(3), MAC), now).expect("what waits");
        assert_eq!((at, waiting), (MAC, VecDeque::from([vec![3]])));
        assert_eq!(neighbors.send(host(3), vec![4], now), Way::To(MAC, vec![4]));
        assert_eq!(neighbors.send(host(77), vec![5], now), Way::Wait);
        assert_eq!(neighbors.send(host(3), vec![6], now + LIFETIME), Way::Ask, "known no longer");
    }

    #[test]
    fn who_does_not_answer_is_given_up_and_may_be_asked_for_anew() {
        let mut neighbors = Neighbors::default();
        let mut now = Instant::from_secs(1);
        assert_eq!(neighbors.send(host(77), vec![1], now), Way::Ask);
        assert!(neighbors.expired(now).is_empty());
        for _ in 1..QUESTIONS {
            now = neighbors.deadline().expect("a deadline");
            assert_eq!(neighbors.expired(now), [host(77)]);
        }
        now = neighbors.deadline().expect("a deadline");
        assert_eq!((neighbors.expired(now), neighbors.deadline()), (vec![], None));
        assert!(neighbors.hear(&answer(host(77), MAC), now).is_none(), "nobody asked");
        assert_eq!(neighbors.send(host(77), vec![2], now), Way::Ask);
    }

    #[test]
    fn nothing_is_without_an_end() {
        let mut neighbors = Neighbors::default();
        let now = Instant::from_secs(1);
        for number in 0..1000 {
            assert_eq!(neighbors.send(host(number), vec![0], now), Way::Ask);
        }
        assert_eq!(neighbors.known.len(), MOST);
        (0..100).for_each(|at| _ = neighbors.send(host(999), vec![at], now));
        let (_, waiting) = neighbors.hear(&answer(host(999), MAC), now).expect("what waits");
        assert_eq!(waiting, [vec![96], vec![97], vec![98], vec![99]]);
        assert!(neighbors.hear(&answer(host(998), EthernetAddress::BROADCAST), now).is_none());
        assert!(neighbors.hear(&[0; 5], now).is_none());
    }
}
