//! What bytes of keyboards and mice mean.

use proptest::prelude::*;
use ps2::keyboard::{Key, Keyboard};
use ps2::mouse::{Act, Mouse, WHEEL, X, Y};

fn typed(keyboard: &mut Keyboard, bytes: &[u8]) -> Vec<(u16, i32)> {
    let mut told = Vec::new();
    bytes.iter().for_each(|&byte| keyboard.byte(byte, |Key { code, value }| told.push((code, value))));
    told
}

fn moved(mouse: &mut Mouse, now: u64, bytes: &[u8]) -> Vec<Act> {
    let mut told = Vec::new();
    bytes.iter().for_each(|&byte| _ = mouse.byte(now, byte, |act| told.push(act)));
    told
}

#[test]
fn keys_have_the_numbers_of_evdev() {
    let fresh = |bytes: &[u8]| typed(&mut Keyboard::default(), bytes);
    assert_eq!(fresh(&[0x01, 0x81]), [(1, 1), (1, 0)]);
    assert_eq!(fresh(&[0x39, 0x58]), [(57, 1), (88, 1)]);
    assert_eq!(fresh(&[0xe0, 0x48, 0xe0, 0xc8]), [(103, 1), (103, 0)]);
    assert_eq!(fresh(&[0x1d, 0xe0, 0x1d]), [(29, 1), (97, 1)], "left and right");
    assert_eq!(fresh(&[0xe0, 0x2a, 0xe0, 0x37, 0xe0, 0xb7, 0xe0, 0xaa]), [(99, 1), (99, 0)]);
    assert_eq!(fresh(&[0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5]), [(119, 1), (119, 0)]);
}

#[test]
fn a_key_that_is_held_repeats_and_one_that_was_not_down_does_not_go_up() {
    let mut keyboard = Keyboard::default();
    assert_eq!(typed(&mut keyboard, &[0x9e, 0x1e, 0x1e, 0x9e, 0x9e]), [(30, 1), (30, 2), (30, 0)]);
}

#[test]
fn after_an_overrun_nothing_is_down() {
    let mut keyboard = Keyboard::default();
    assert_eq!(typed(&mut keyboard, &[0x1e, 0x2a]), [(30, 1), (42, 1)]);
    assert_eq!(typed(&mut keyboard, &[0xe0, 0x00, 0x1e]), [(30, 0), (42, 0), (30, 1)]);
    assert_eq!(typed(&mut keyboard, &[0xff, 0xfa, 0xfe, 0xee]), [(30, 0)], "answers are no keys");
}

#[test]
fn a_packet_has_buttons_distances_and_the_wheel() {
    let mut mouse = Mouse::new(false);
    let left = |down| Act::Button(0x110, down);
    assert_eq!(moved(&mut mouse, 0, &[0x09, 5, 0]), [left(true), Act::Move(X, 5)]);
    assert_eq!(
        moved(&mut mouse, 0, &[0x3d, 0xfb, 0xff]),
        [Act::Button(0x112, true), Act::Move(X, -5), Act::Move(Y, 1)]
    );
    assert_eq!(
        moved(&mut mouse, 0, &[0x0a, 0, 0]),
        [left(false), Act::Button(0x111, true), Act::Button(0x112, false)]
    );
    assert_eq!(moved(&mut mouse, 0, &[0xca, 9, 9]), [], "farther than a packet can tell");
    let mut mouse = Mouse::new(true);
    assert_eq!(
        moved(&mut mouse, 0, &[0x08, 0, 0, 0xff, 0x08, 0, 0, 2]),
        [Act::Move(WHEEL, 1), Act::Move(WHEEL, -2)]
    );
}

#[test]
fn a_packet_that_was_not_finished_does_not_shift_the_next() {
    let mut mouse = Mouse::new(false);
    assert_eq!(moved(&mut mouse, 0, &[0x08, 1]), []);
    assert_eq!(moved(&mut mouse, 500_000_001, &[0x08, 2, 0]), [Act::Move(X, 2)]);
    assert_eq!(
        moved(&mut mouse, 500_000_001, &[0x00, 0x07, 0x08, 3, 0]),
        [Act::Move(X, 3)],
        "none begins so"
    );
    assert_eq!(mouse.unknown, 4);
}

proptest! {
    /// After any bytes an overrun, or a pause, is enough to be right again.
    #[test]
    fn decoders_are_right_again_after_any_noise(
        noise in prop::collection::vec(any::<u8>(), 0..100),
        has_wheel: bool,
        right in -255..256i32,
    ) {
        let mut keyboard = Keyboard::default();
        let told = typed(&mut keyboard, &noise);
        prop_assert!(told.iter().all(|&(code, value)| code < 256 && (0..3).contains(&value)));
        typed(&mut keyboard, &[0]);
        prop_assert_eq!(typed(&mut keyboard, &[0xe0, 0x48, 0x1e, 0x9e]), [(103, 1), (30, 1), (30, 0)]);

        let mut mouse = Mouse::new(has_wheel);
        moved(&mut mouse, 0, &noise);
        let sign = if right < 0 { 0x10 } else { 0 };
        let packet = [8 | sign, right as u8, 0, 0];
        let length = mouse.length();
        let told = moved(&mut mouse, 1_000_000_000, &packet[..length]);
        let moves: Vec<Act> = told.into_iter().filter(|act| matches!(act, Act::Move(..))).collect();
        let wanted = if right == 0 { vec![] } else { vec![Act::Move(X, right)] };
        prop_assert_eq!(moves, wanted);
    }

    /// What went down goes up, each once, in any mixture with noise.
    #[test]
    fn keys_go_down_before_they_go_up(noise in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut keyboard = Keyboard::default();
        let mut down = std::collections::BTreeSet::new();
        for (code, value) in typed(&mut keyboard, &noise) {
            match value {
                1 => prop_assert!(down.insert(code)),
                2 => prop_assert!(down.contains(&code)),
                _ => prop_assert!(down.remove(&code)),
            }
        }
        let mut up = Vec::new();
        keyboard.lost(|key| up.push(key.code));
        prop_assert_eq!(up, Vec::from_iter(down));
    }
}
