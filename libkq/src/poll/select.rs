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
        let mut questions: Vec<Question> = Vec::new();
        let all: FdSet = sets.iter().flatten().flat_map(|set| set.iter()).filter(|&fd| fd < nfds).collect();
        for fd in all.iter() {
            let in_set = |set: &Option<&mut FdSet>| set.as_ref().is_some_and(|set| set.contains(fd));
            let kinds = sets.iter().zip(KINDS).filter(|(set, _)| in_set(set));
            let wanted = kinds.fold(Conditions::empty(), |wanted, (_, kind)| wanted | kind);
            questions.push(Question { fd, wanted });
        }
        let mut found = [FdSet::new(), FdSet::new(), FdSet::new()];
        let asked = questions.iter().copied();
        let count = self.ask(platform, files, Rules::Select, asked, timeout, mask, |answers| {
            let mut count = 0;
            found.iter_mut().for_each(FdSet::clear);
            for (question, answer) in questions.iter().zip(answers) {
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
