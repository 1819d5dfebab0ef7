//! select. `select(2)`.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use abi::error::{EBADF, EINVAL, Error, Result};

use super::{FdSet, Question, Rules, Sets};
use crate::conditions::Conditions;
use crate::file::Files;
use crate::interruption::SignalMask;
use crate::platform::Platform;

/// Asks about each number below `nfds` that is in any of the sets, lowest first.
fn questions(nfds: i32, sets: &[Option<&mut FdSet>; 3]) -> Vec<Question> {
    let words = |at| sets.each_ref().map(|set| set.as_ref().map_or(0, |set| set.word(at)));
    let all = |at| words(at).into_iter().fold(0, |all, word| all | word);
    let end = sets.iter().flatten().map(|set| set.words()).max().unwrap_or(0);
    let count = (0..end).map(|at| all(at).count_ones() as usize).sum();
    let mut questions = Vec::with_capacity(count);
    for at in 0..end {
        let (words, mut rest) = (words(at), all(at));
        while rest != 0 {
            let bit = rest.trailing_zeros();
            rest &= rest - 1;
            let fd = (at as u32 * u64::BITS + bit) as i32;
            if fd >= nfds {
                return questions;
            }
            let mut wanted = Conditions::empty();
            for (word, kind) in words.into_iter().zip(KINDS) {
                if word >> bit & 1 != 0 {
                    wanted |= kind;
                }
            }
            questions.push(Question { fd, wanted });
        }
    }
    questions
}

/// Which condition each of the three sets is about.
const KINDS: [Conditions; 3] = [Conditions::IN, Conditions::OUT, Conditions::PRI];

impl<P: Platform> Sets<P> {
    /// Leaves of each set the numbers that are ready, waiting for the first. See
    /// [`Process::select`](crate::process::Process::select).
    pub fn select(
        &self,
        platform: &Arc<P>,
        files: &impl Files<P>,
        nfds: i32,
        mut sets: [Option<&mut FdSet>; 3],
        timeout: Option<Duration>,
        mask: Option<SignalMask>,
    ) -> Result<usize> {
        if nfds < 0 {
            return Err(Error::new(EINVAL));
        }
        let questions = questions(nfds, &sets);
        let mut found = [FdSet::new(), FdSet::new(), FdSet::new()];
        let asked = questions.iter().copied();
        let count = self.ask(platform, files, Rules::Select, asked, timeout, mask, |answers| {
            let mut count = 0;
            found.iter_mut().for_each(FdSet::clear);
            for (question, answer) in questions.iter().zip(answers) {
                if answer.is_empty() {
                    continue;
                }
                // R47: the sets are untouched then.
                if answer.contains(Conditions::NVAL) {
                    return Err(Error::new(EBADF));
                }
                for (found, kind) in found.iter_mut().zip(KINDS) {
                    if answer.contains(kind) {
                        found.insert(question.fd);
                        count += 1;
                    }
                }
            }
            Ok(count)
        })?;
        for (set, found) in sets.iter_mut().zip(found) {
            if let Some(set) = set {
                **set = found;
            }
        }
        Ok(count)
    }
}
