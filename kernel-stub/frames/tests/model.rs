//! The allocator against a set of free frames.

use std::collections::BTreeSet;

use frames::{Error, Frames, words_for};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Alloc,
    Run { count: usize, align: usize },
    Free(usize),
}

fn step(frames: usize) -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => Just(Step::Alloc),
        2 => (0..200_usize, 0..9_u32).prop_map(|(count, align)| Step::Run { count, align: 1 << align }),
        4 => (0..frames + 3).prop_map(Step::Free),
    ]
}

fn lowest_run(free: &BTreeSet<usize>, frames: usize, count: usize, align: usize) -> Option<usize> {
    if count == 0 {
        return None;
    }
    (0..frames).step_by(align).find(|&first| (first..first + count).all(|frame| free.contains(&frame)))
}

proptest! {
    /// Every answer is the lowest that the set allows, whatever came before.
    #[test]
    fn agrees_with_a_set(
        (frames, holes, steps) in (1..9000_usize).prop_flat_map(|frames| (
            Just(frames),
            prop::collection::vec(0..frames, 0..40),
            prop::collection::vec(step(frames), 0..120),
        ))
    ) {
        let mut storage = vec![u64::MAX; words_for(frames)];
        let mut subject = Frames::new(&mut storage, frames).expect("enough storage");
        let mut free = BTreeSet::new();
        for frame in (0..frames).filter(|frame| !holes.contains(frame)) {
            prop_assert_eq!(subject.add(frame), Ok(()));
            free.insert(frame);
        }
        let total = free.len();
        for step in steps {
            match step {
                Step::Alloc => {
                    let expected = free.pop_first();
                    prop_assert_eq!(subject.alloc(), expected);
                }
                Step::Run { count, align } => {
                    let expected = lowest_run(&free, frames, count, align);
                    prop_assert_eq!(subject.alloc_run(count, align), expected);
                    if let Some(first) = expected {
                        (first..first + count).for_each(|frame| { free.remove(&frame); });
                    }
                }
                Step::Free(frame) => {
                    let expected = if frame >= frames {
                        Err(Error::OutOfRange)
                    } else if free.insert(frame) {
                        Ok(())
                    } else {
                        Err(Error::AlreadyFree)
                    };
                    prop_assert_eq!(subject.free(frame), expected);
                }
            }
            prop_assert_eq!(subject.free_count(), free.len());
            prop_assert_eq!(subject.total(), total);
        }
        // What is left comes out in order, each once, and then nothing.
        for frame in free {
            prop_assert_eq!(subject.alloc(), Some(frame));
        }
        prop_assert_eq!(subject.alloc(), None);
    }
}

#[test]
fn works_across_all_levels_of_the_summary() {
    let frames = 64 * 64 * 64 + 5;
    let mut storage = vec![0; words_for(frames)];
    let mut subject = Frames::new(&mut storage, frames).expect("enough storage");
    subject.add(frames - 1).expect("in range");
    subject.add(3).expect("in range");
    assert_eq!(subject.alloc(), Some(3));
    assert_eq!(subject.alloc(), Some(frames - 1));
    assert_eq!(subject.alloc(), None);
}

#[test]
fn refuses_storage_that_is_too_small_and_odd_alignments() {
    let mut storage = vec![0; words_for(1000) - 1];
    assert!(Frames::new(&mut storage, 1000).is_none());
    let mut storage = vec![0; words_for(1000)];
    let mut subject = Frames::new(&mut storage, 1000).expect("enough storage");
    (0..1000).for_each(|frame| subject.add(frame).expect("in range"));
    assert_eq!(subject.alloc_run(2, 3), None);
    assert_eq!(subject.alloc_run(2, 0), None);
    assert_eq!(subject.alloc_run(usize::MAX, 1), None);
    assert_eq!(subject.alloc_run(1000, 1), Some(0));
}
