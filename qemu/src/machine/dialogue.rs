//! Input that answers what the guest says.

use std::collections::VecDeque;

/// One turn of a dialogue.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Turn {
    /// Waits until the guest has said this, after what the turn before waited for. Empty: waits for nothing.
    pub after: String,
    /// Then types this.
    pub send: String,
}

/// What to type, and when.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Dialogue {
    turns: VecDeque<Turn>,
    heard: Vec<u8>,
}

impl Dialogue {
    /// From its turns.
    pub fn new(turns: Vec<Turn>) -> Dialogue {
        Dialogue { turns: turns.into(), heard: Vec::new() }
    }

    /// Whether all has been typed.
    pub fn is_over(&self) -> bool {
        self.turns.is_empty()
    }

    /// The guest has said `bytes`: what to type now.
    pub fn heard(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut typed = Vec::new();
        if self.turns.is_empty() {
            return typed;
        }
        self.heard.extend_from_slice(bytes);
        while let Some(turn) = self.turns.front() {
            let Some(end) = end_of(&self.heard, turn.after.as_bytes()) else { break };
            self.heard.drain(..end);
            typed.extend_from_slice(turn.send.as_bytes());
            self.turns.pop_front();
        }
        typed
    }
}

/// Where `part` ends in `whole`.
fn end_of(whole: &[u8], part: &[u8]) -> Option<usize> {
    if part.is_empty() {
        return Some(0);
    }
    whole.windows(part.len()).position(|window| window == part).map(|start| start + part.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(after: &str, send: &str) -> Turn {
        Turn { after: after.to_owned(), send: send.to_owned() }
    }

    #[test]
    fn each_turn_waits_for_its_cue() {
        let mut dialogue =
            Dialogue::new(vec![turn("", "a"), turn("ready", "b"), turn("ready", "c"), turn("", "d")]);
        assert_eq!(dialogue.heard(b"rea"), b"a");
        assert_eq!(dialogue.heard(b"dy"), b"b", "a cue may come in pieces");
        assert_eq!(dialogue.heard(b"not yet"), b"", "the second cue is another one");
        assert_eq!(dialogue.heard(b" ready"), b"cd");
        assert_eq!(dialogue.heard(b"ready"), b"");
    }
}
