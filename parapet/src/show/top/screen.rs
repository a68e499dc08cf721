//! The terminal that `parapet top` draws in: keys without Enter, one page that is drawn over the last one.

use std::io::{self, IsTerminal as _, Write as _};
use std::os::fd::AsFd as _;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::termios::{LocalFlags, SetArg, SpecialCharacterIndices, Termios, tcgetattr, tcsetattr};

use super::render::View;
use crate::failure::Failure;
use crate::show::style::Style;

/// Another page of the terminal, so that what was there before comes back; and the cursor out of the way.
const ENTER: &str = "\u{1b}[?1049h\u{1b}[?25l";
const LEAVE: &str = "\u{1b}[?25h\u{1b}[?1049l";
const HOME: &str = "\u{1b}[H";
const CLEAR_LINE: &str = "\u{1b}[K";
const CLEAR_BELOW: &str = "\u{1b}[J";
/// What a terminal has that does not say.
const SIZE: Size = Size { columns: 80, lines: 24 };
/// Lines of a page that are no rows: its head, and the keys.
const HEAD_LINES: usize = 4;
/// The header of a table and the line between two.
const TABLE_LINES: usize = 2;
/// Rows of a table that are shown even where the last tables have no room for it.
const ROWS_MIN: usize = 3;
const KEYS: &str = "a all  s sources  p prefixes  n names  u suffixes  z zones  t types  r reasons  q quit";

/// How much room there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) columns: usize,
    pub(super) lines: usize,
}

impl Size {
    /// Rows of each table of a view that fit.
    pub(super) fn rows_of(self, view: View) -> usize {
        let tables = view.parts().len();
        let room = self.lines.saturating_sub(HEAD_LINES + tables * TABLE_LINES);
        // Rather some tables whole than a row of each.
        (room / tables).max(ROWS_MIN)
    }
}

/// A terminal in which a page is drawn; it is as it was when this goes.
pub(super) struct Screen {
    /// How the keyboard was; none where there is no keyboard.
    before: Option<Termios>,
}

/// A key that means something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Quit,
    Letter(char),
}

/// Why the wait is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waited {
    Passed,
    Pressed(Key),
}

impl Screen {
    /// The terminal on standard output; none where that is no terminal, or one that cannot draw.
    pub(super) fn open() -> Option<Self> {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        if dumb || !io::stdout().is_terminal() {
            return None;
        }
        Some(Self { before: take_keys() }.entered())
    }

    fn entered(self) -> Self {
        let _ = write(ENTER);
        self
    }

    pub(super) fn style(&self) -> Style {
        Style::of_stdout()
    }

    /// How much room there is now.
    pub(super) fn size(&self) -> Size {
        let size = terminal_size::terminal_size();
        size.map_or(SIZE, |(columns, lines)| Size { columns: columns.0.into(), lines: lines.0.into() })
    }

    /// Draws a page, as far as there is room.
    pub(super) fn draw(&mut self, text: &str, size: Size) -> Result<(), Failure> {
        write(&frame(text, size)).map_err(Failure::runtime)
    }

    /// Waits for a key, for so long.
    pub(super) fn wait(&mut self, interval: Duration) -> Result<Waited, Failure> {
        if self.before.is_none() {
            sleep(interval);
            return Ok(Waited::Passed);
        }
        let end = Instant::now() + interval;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(Waited::Passed);
            }
            let stdin = io::stdin();
            let mut polled = [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
            let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
            match poll(&mut polled, timeout) {
                // A signal, such as that the window has another size: draw again.
                Err(nix::errno::Errno::EINTR) => return Ok(Waited::Passed),
                Err(why) => return Err(Failure::runtime(why)),
                Ok(0) => return Ok(Waited::Passed),
                Ok(_) => {}
            }
            let mut bytes = [0; 16];
            let read = nix::unistd::read(&stdin, &mut bytes).map_err(Failure::runtime)?;
            let pressed = bytes.get(..read).unwrap_or_default();
            if let Some(key) = key_of(pressed) {
                return Ok(Waited::Pressed(key));
            }
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            let _ = tcsetattr(io::stdin(), SetArg::TCSANOW, before);
        }
        let _ = write(LEAVE);
    }
}

/// What was pressed, if it means anything. No input at all means that the terminal has gone.
fn key_of(pressed: &[u8]) -> Option<Key> {
    match pressed {
        // Ctrl-C, Ctrl-D.
        [] | [b'q' | b'Q' | 0x03 | 0x04, ..] => Some(Key::Quit),
        [letter, ..] if letter.is_ascii_alphabetic() => Some(Key::Letter(char::from(*letter))),
        _ => None,
    }
}

/// Keys come at once, unseen, and Ctrl-C is one of them: the terminal must be put in order before the end.
fn take_keys() -> Option<Termios> {
    let stdin = io::stdin();
    let before = tcgetattr(&stdin).ok()?;
    let mut taken = before.clone();
    taken.local_flags.remove(LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG);
    for (index, value) in [(SpecialCharacterIndices::VMIN, 1), (SpecialCharacterIndices::VTIME, 0)] {
        *taken.control_chars.get_mut(index as usize)? = value;
    }
    tcsetattr(&stdin, SetArg::TCSANOW, &taken).ok()?;
    Some(before)
}

fn write(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// The page as it is drawn: over the one before without a flicker, cut where the room ends, the keys on the last line.
fn frame(text: &str, size: Size) -> String {
    let mut frame = HOME.to_owned();
    for line in text.lines().take(size.lines.saturating_sub(1)) {
        frame.push_str(&cut(line, size.columns));
        frame.push_str(CLEAR_LINE);
        frame.push_str("\r\n");
    }
    frame.push_str(CLEAR_BELOW);
    frame.push_str(&format!("\u{1b}[{};1H{}", size.lines, cut(KEYS, size.columns)));
    frame
}

/// A line, as far as there is room. One with colours is not cut within them.
fn cut(line: &str, columns: usize) -> String {
    let (mut shown, mut in_escape) = (0, false);
    let fits = |letter: &char| {
        if *letter == '\u{1b}' || in_escape {
            in_escape = *letter == '\u{1b}' || !letter.is_ascii_alphabetic();
            return true;
        }
        shown += 1;
        shown <= columns
    };
    line.chars().filter(fits).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_mean_what_the_help_says() {
        let check = |pressed: &[u8], want: Option<Key>| assert_eq!(key_of(pressed), want, "{pressed:?}");
        check(b"q", Some(Key::Quit));
        check(b"\x03", Some(Key::Quit));
        check(b"", Some(Key::Quit));
        check(b"s", Some(Key::Letter('s')));
        check(b"\x1b[A", None);
        check(b" ", None);
    }

    #[test]
    fn a_page_is_cut_where_the_room_ends() {
        let size = Size { columns: 5, lines: 3 };
        let want = "\u{1b}[Hone\u{1b}[K\r\nthree\u{1b}[K\r\n\u{1b}[J\u{1b}[3;1Ha all";
        assert_eq!(frame("one\nthree and more\nfour\nfive\n", size), want);
        assert_eq!(cut("\u{1b}[33mabcdefg\u{1b}[0m", 3), "\u{1b}[33mabc\u{1b}[0m");
    }

    #[test]
    fn as_many_rows_are_shown_as_fit() {
        let size = Size { columns: 80, lines: 24 };
        assert_eq!(size.rows_of(View::Sources), 18);
        assert_eq!(size.rows_of(View::All), 3);
        assert_eq!(Size { columns: 80, lines: 60 }.rows_of(View::All), 7);
    }
}
