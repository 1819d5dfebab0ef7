//! The line being edited, as the screen shows it.
//!
//! What programs write does not get into it: they begin on a fresh line, and what has been typed is shown again behind a
//! finished line of theirs, or when the next key is pressed.

use crate::input::Input;
use crate::mode::control;
use crate::output::{ECHO_RESERVE, Output, advance};

/// Most columns that are erased one by one, and bytes that are shown again, so that one keystroke needs a bounded echo.
const MAX_REDRAW: usize = 256;
/// Echo that one received byte can need: the line again, `\b \b` for each erased column, and a few characters.
pub const MAX_ECHO: usize = 2 * MAX_REDRAW + 3 * MAX_REDRAW + 8;
const _: () = assert!(MAX_ECHO <= ECHO_RESERVE, "or a flood of output would silence the keyboard");

/// Where the line is on the screen.
#[derive(Default)]
pub struct Echo {
    /// Column at which it begins.
    start: usize,
    /// A program has written since: it is not at the cursor.
    hidden: bool,
}

impl Echo {
    /// Before a key changes the line: it is where the key's effect will be shown.
    pub fn begin_key(&mut self, input: &Input, output: &mut Output) {
        if input.line_len() == 0 {
            self.start = output.column();
            self.hidden = false;
        } else if self.hidden {
            self.redraw(input, output);
        }
    }

    /// Before a program writes.
    pub fn begin_output(&mut self, input: &Input, output: &mut Output) {
        if input.line_len() > 0 && !self.hidden {
            fresh_line(output);
            self.hidden = true;
        }
    }

    /// After a program has written a whole line.
    pub fn end_output(&mut self, input: &Input, output: &mut Output) {
        if input.line_len() > 0 && self.hidden {
            self.redraw(input, output);
        }
    }

    /// Shows a byte; control characters as `^X` (ECHOCTL).
    pub fn show(output: &mut Output, byte: u8) {
        match byte {
            b'\n' => fresh_line(output),
            b'\t' => output.echo(byte),
            0..=0x1f | 0x7f => {
                output.echo(b'^');
                output.echo(byte ^ 0x40);
            }
            _ => output.echo(byte),
        }
    }

    /// Column behind the line.
    pub fn end(&self, input: &Input) -> usize {
        input.line().fold(self.start, |column, byte| match byte {
            b'\t' => advance(column, byte),
            0..=0x1f | 0x7f => column + 2,
            _ => advance(column, byte),
        })
    }

    /// After bytes were taken off the line, which ended in column `end`.
    pub fn erase(&self, end: usize, input: &Input, output: &mut Output) {
        let columns = end - self.end(input).min(end);
        if columns > MAX_REDRAW {
            Echo::show(output, control::KILL);
            return fresh_line(output);
        }
        for byte in [control::BACKSPACE, b' ', control::BACKSPACE].into_iter().cycle().take(3 * columns) {
            output.echo(byte);
        }
    }

    fn redraw(&mut self, input: &Input, output: &mut Output) {
        self.start = output.column();
        if input.line_len() <= MAX_REDRAW && output.echo_space() >= MAX_ECHO {
            self.hidden = false;
            input.line().for_each(|byte| Echo::show(output, byte));
        }
    }
}

fn fresh_line(output: &mut Output) {
    output.echo(b'\r');
    output.echo(b'\n');
}
