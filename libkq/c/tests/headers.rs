//! The headers' numbers are those of the Rust sources.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use libkq::event::note;
use libkq::{Conditions, EpollFlags, EventFlags, Filter, control, flag, signal};

/// Names and values of a header's `#define`s that are numbers.
fn numbers(header: &str) -> BTreeMap<String, i64> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("include").join(header);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let number = |line: &str| {
        let (name, value) = line.strip_prefix("#define ")?.split_once(' ')?;
        Some((name.to_owned(), value_of(value.split("/*").next()?.trim())?))
    };
    text.lines().filter_map(number).collect()
}

/// `-1`, `(-1)`, `0x10u`, `(1u << 28)`.
fn value_of(text: &str) -> Option<i64> {
    let text = text.strip_prefix('(').and_then(|text| text.strip_suffix(')')).unwrap_or(text);
    if let Some((one, places)) = text.split_once(" << ") {
        return Some(value_of(one)? << value_of(places)?);
    }
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
    let digits = digits.trim_end_matches('u');
    let value = match digits.strip_prefix("0x") {
        Some(digits) => i64::from_str_radix(digits, 16).ok()?,
        None => digits.parse().ok()?,
    };
    Some(sign * value)
}

/// The numbers of the header are these, and no others.
fn same(header: &str, rust: &[(&str, i64)]) {
    let mut given = numbers(header);
    for (name, value) in rust {
        assert_eq!(given.remove(*name), Some(*value), "{name} of {header}");
    }
    assert!(given.is_empty(), "{header} has numbers that nothing is compared with: {given:?}");
}

/// Pairs of a name and its value, in a module or type.
macro_rules! of {
    ($from:path; $($name:ident)*) => {{
        use $from as from;
        [$((stringify!($name), from::$name as i64)),*]
    }};
}

macro_rules! bits {
    ($prefix:literal, $flags:ty; $($name:ident)*) => {
        [$((concat!($prefix, stringify!($name)), i64::from(<$flags>::$name.bits()))),*]
    };
}

#[test]
fn errors() {
    let all = of!(abi::error; EPERM ENOENT ESRCH EINTR EIO ENXIO E2BIG ENOEXEC EBADF ECHILD EAGAIN ENOMEM EACCES EFAULT ENOTBLK
        EBUSY EEXIST EXDEV ENODEV ENOTDIR EISDIR EINVAL ENFILE EMFILE ENOTTY ETXTBSY EFBIG ENOSPC ESPIPE
        EROFS EMLINK EPIPE EDOM ERANGE EDEADLK ENAMETOOLONG ENOLCK ENOSYS ENOTEMPTY ELOOP ENOMSG EIDRM
        ECHRNG EL2NSYNC EL3HLT EL3RST ELNRNG EUNATCH ENOCSI EL2HLT EBADE EBADR EXFULL ENOANO EBADRQC EBADSLT
        EBFONT ENOSTR ENODATA ETIME ENOSR ENONET ENOPKG EREMOTE ENOLINK EADV ESRMNT ECOMM EPROTO EMULTIHOP
        EDOTDOT EBADMSG EOVERFLOW ENOTUNIQ EBADFD EREMCHG ELIBACC ELIBBAD ELIBSCN ELIBMAX ELIBEXEC EILSEQ
        ERESTART ESTRPIPE EUSERS ENOTSOCK EDESTADDRREQ EMSGSIZE EPROTOTYPE ENOPROTOOPT EPROTONOSUPPORT
        ESOCKTNOSUPPORT EOPNOTSUPP EPFNOSUPPORT EAFNOSUPPORT EADDRINUSE EADDRNOTAVAIL ENETDOWN ENETUNREACH
        ENETRESET ECONNABORTED ECONNRESET ENOBUFS EISCONN ENOTCONN ESHUTDOWN ETOOMANYREFS ETIMEDOUT
        ECONNREFUSED EHOSTDOWN EHOSTUNREACH EALREADY EINPROGRESS ESTALE EUCLEAN ENOTNAM ENAVAIL EISNAM
        EREMOTEIO EDQUOT ENOMEDIUM EMEDIUMTYPE ECANCELED ENOKEY EKEYEXPIRED EKEYREVOKED EKEYREJECTED
        EOWNERDEAD ENOTRECOVERABLE);
    same("errno.h", &all);
}

#[test]
fn flags_of_open_files() {
    let mut all =
        of!(flag; O_RDONLY O_WRONLY O_RDWR O_ACCMODE O_NONBLOCK O_DURABLE O_APPEND O_CREAT O_TRUNC O_EXCL
        O_DIRECTORY F_DUPFD F_GETFD F_SETFD F_GETFL F_SETFL)
        .to_vec();
    all.extend([("O_CLOEXEC", libkq::epoll::CLOEXEC as i64), ("FD_CLOEXEC", 1)]);
    same("fcntl.h", &all);
}

#[test]
fn limits() {
    let given = numbers("limits.h");
    for (name, value) in [
        ("PATH_MAX", control::MAX_PATH),
        ("PIPE_BUF", control::PIPE_BUF),
        ("OPEN_MAX", libkq::process::MAX_DESCRIPTORS),
    ] {
        assert_eq!(given.get(name), Some(&(value as i64)), "{name}");
    }
}

#[test]
fn clocks() {
    same("time.h", &of!(flag; CLOCK_REALTIME CLOCK_MONOTONIC));
}

fn policies() -> impl Iterator<Item = (&'static str, i64)> {
    let names = [
        "WAKE_ALL",
        "WAKE_ONE_THIS_CPU",
        "WAKE_ONE_OTHER_CPU",
        "WAKE_ONE_PER_CPU",
        "WAKE_ROUND_ROBIN",
        "WAKE_AUTO",
    ];
    names.into_iter().zip(libkq::WakePolicy::ALL.map(|policy| policy as i64))
}

#[test]
fn events() {
    let mut all = bits!("EV_", EventFlags; ADD DELETE ENABLE DISABLE ONESHOT CLEAR RECEIPT DISPATCH KEEPUDATA
        WAKEONE NODATA ERROR EOF)
    .to_vec();
    let filters = [
        ("EVFILT_READ", Filter::READ),
        ("EVFILT_WRITE", Filter::WRITE),
        ("EVFILT_VNODE", Filter::VNODE),
        ("EVFILT_PROC", Filter::PROC),
        ("EVFILT_SIGNAL", Filter::SIGNAL),
        ("EVFILT_TIMER", Filter::TIMER),
        ("EVFILT_USER", Filter::USER),
        ("EVFILT_EXCEPT", Filter::EXCEPT),
    ];
    all.extend(filters.map(|(name, filter)| (name, i64::from(filter.0))));
    let notes = of!(note; LOWAT FILE_POLL OOB DELETE WRITE EXTEND ATTRIB LINK RENAME REVOKE OPEN CLOSE CLOSE_WRITE
        READ EXIT FORK EXEC TRACK TRACKERR CHILD SECONDS MSECONDS USECONDS NSECONDS ABSTIME FFNOP FFAND FFOR FFCOPY
        FFCTRLMASK FFLAGSMASK TRIGGER);
    let names = notes.map(|(name, value)| (format!("NOTE_{name}"), value));
    all.extend(names.iter().map(|(name, value)| (name.as_str(), *value)));
    all.extend(policies().map(|(name, value)| -> (&str, i64) { (name, value) }));
    same("sys/event.h", &all);
}

#[test]
fn conditions() {
    let all = bits!("POLL", Conditions; IN PRI OUT ERR HUP NVAL RDNORM RDBAND WRNORM WRBAND REMOVE RDHUP);
    same("poll.h", &all);
}

#[test]
fn epoll() {
    let mut all =
        bits!("EPOLL", EpollFlags; IN PRI OUT ERR HUP RDNORM RDBAND WRNORM WRBAND MSG RDHUP EXCLUSIVE
        WAKEUP ONESHOT ET)
        .to_vec();
    all.extend([("EPOLL_CLOEXEC", libkq::epoll::CLOEXEC as i64)]);
    for (name, op) in [("EPOLL_CTL_ADD", 1), ("EPOLL_CTL_DEL", 2), ("EPOLL_CTL_MOD", 3)] {
        all.push((name, i64::from(op)));
        assert!(libkq::EpollOp::try_from(op).is_ok());
    }
    all.extend(policies().map(|(name, value)| -> (&str, i64) { (name, value) }));
    same("sys/epoll.h", &all);
}

#[test]
fn signals() {
    let mut all =
        of!(signal; SIGHUP SIGINT SIGQUIT SIGILL SIGTRAP SIGABRT SIGBUS SIGFPE SIGKILL SIGUSR1 SIGSEGV
        SIGUSR2 SIGPIPE SIGALRM SIGTERM SIGCHLD SIGCONT SIGSTOP SIGTSTP SIGTTIN SIGTTOU SIGURG SIGWINCH)
        .to_vec();
    all.extend(bits!("SA_", signal::ActionFlags; RESTART NODEFER RESETHAND));
    all.extend([("NSIG", i64::from(signal::LAST) + 1), ("SA_SIGINFO", 4)]);
    all.extend([("SIG_BLOCK", 0), ("SIG_UNBLOCK", 1), ("SIG_SETMASK", 2)]);
    same("signal.h", &all);
}

#[test]
fn messages() {
    use libkq::control::message::MessageFlags as Flags;
    let given = numbers("sys/socket.h");
    let same = [
        ("MSG_DONTWAIT", Flags::NONBLOCK),
        ("MSG_OOB", Flags::OOB),
        ("MSG_PEEK", Flags::PEEK),
        ("MSG_WAITALL", Flags::WAIT_ALL),
        ("MSG_TRUNC", Flags::TRUNCATED),
        ("MSG_CTRUNC", Flags::HANDLES_TRUNCATED),
        ("MSG_EOR", Flags::END_OF_RECORD),
    ];
    for (name, flag) in same {
        assert_eq!(given.get(name), Some(&flag.bits().cast_signed()), "{name}");
    }
    assert!(!Flags::all().contains(Flags::from_bits_retain(given["MSG_NOSIGNAL"].cast_unsigned())));
    assert_eq!(given["SOCK_NONBLOCK"], flag::O_NONBLOCK as i64);
    assert_eq!(given["SOCK_CLOEXEC"], libkq::epoll::CLOEXEC as i64);
}

#[test]
fn file_types() {
    let all = [
        ("S_IFMT", flag::MODE_TYPE),
        ("S_IFIFO", flag::MODE_FIFO),
        ("S_IFCHR", flag::MODE_CHR),
        ("S_IFDIR", flag::MODE_DIR),
        ("S_IFREG", flag::MODE_FILE),
        ("S_IFSOCK", flag::MODE_SOCK),
    ];
    same("sys/stat.h", &all.map(|(name, value)| (name, i64::from(value))));
}
