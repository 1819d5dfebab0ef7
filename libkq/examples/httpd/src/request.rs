//! What a client asks for: the head of a request of HTTP/1.1 or HTTP/1.0 (RFC 9112).

use alloc::string::String;
use alloc::vec::Vec;

use crate::response::Status;

/// The longest head.
pub const LONGEST_HEAD: usize = 8192;
/// The longest body. Nothing here has a use for one: it is read and forgotten.
pub const LONGEST_BODY: usize = 65536;
/// Empty lines before a request that are taken for what is left over from the one before.
pub const EMPTY_LINES: usize = 4;

/// A request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request {
    /// Only the head of the answer is wanted.
    pub head_only: bool,
    /// The decoded path, which begins with a slash and stays below the root.
    pub path: String,
    /// HTTP/1.0: then a connection that stays has to be told of.
    pub is_old: bool,
    /// More requests may follow.
    pub keep_alive: bool,
    /// Bytes of a body that follow the head.
    pub body: usize,
}

/// Looks for a request at the beginning of what came: it, and the length of its head. `None`: there is more to come.
pub fn parse(input: &[u8]) -> Result<Option<(Request, usize)>, Status> {
    let empty = empty_lines(input);
    if empty > EMPTY_LINES {
        return Err(Status::BadRequest);
    }
    let skipped = empty * 2;
    let Some(length) = input[skipped..].windows(4).position(|four| four == b"\r\n\r\n") else {
        let too_long = input.len() - skipped > LONGEST_HEAD;
        return if too_long { Err(Status::HeadTooLarge) } else { Ok(None) };
    };
    if length > LONGEST_HEAD {
        return Err(Status::HeadTooLarge);
    }
    let head = core::str::from_utf8(&input[skipped..skipped + length]).map_err(|_| Status::BadRequest)?;
    let mut lines = head.split("\r\n");
    let request = request_line(lines.next().unwrap_or(""))?;
    let request = fields(request, lines)?;
    Ok(Some((request, skipped + length + 4)))
}

/// Whether a request, which may not be well made, asks for a head alone: then a refusal has no body either.
pub fn is_head(input: &[u8]) -> bool {
    input[empty_lines(input) * 2..].starts_with(b"HEAD ")
}

fn empty_lines(input: &[u8]) -> usize {
    input.chunks_exact(2).take_while(|two| two == b"\r\n").count()
}

/// `GET /path HTTP/1.1`
fn request_line(line: &str) -> Result<Request, Status> {
    let words: Vec<&str> = line.split(' ').collect();
    let &[method, target, version] = words.as_slice() else { return Err(Status::BadRequest) };
    let is_old = match version {
        "HTTP/1.1" => false,
        "HTTP/1.0" => true,
        _ if version.starts_with("HTTP/") => return Err(Status::VersionNotSupported),
        _ => return Err(Status::BadRequest),
    };
    if !is_token(method) {
        return Err(Status::BadRequest);
    }
    let head_only = match method {
        "GET" => false,
        "HEAD" => true,
        "POST" | "PUT" | "DELETE" | "OPTIONS" | "TRACE" | "CONNECT" | "PATCH" => {
            return Err(Status::MethodNotAllowed);
        }
        _ => return Err(Status::NotImplemented),
    };
    Ok(Request { head_only, path: path(target)?, is_old, keep_alive: !is_old, body: 0 })
}

/// The lines below the first.
fn fields<'a>(mut request: Request, lines: impl Iterator<Item = &'a str>) -> Result<Request, Status> {
    let (mut hosts, mut length) = (0, None);
    for line in lines {
        let (name, value) = line.split_once(':').ok_or(Status::BadRequest)?;
        // A space before the colon, or a line that goes on with the one before, is how requests are smuggled.
        if !is_token(name) || value.bytes().any(|byte| byte < b' ' && byte != b'\t') {
            return Err(Status::BadRequest);
        }
        let value = value.trim_matches([' ', '\t']);
        if name.eq_ignore_ascii_case("host") {
            hosts += 1;
        } else if name.eq_ignore_ascii_case("content-length") {
            let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
            let told =
                if digits { value.parse().unwrap_or(usize::MAX) } else { return Err(Status::BadRequest) };
            if length.replace(told).is_some_and(|before| before != told) {
                return Err(Status::BadRequest);
            }
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            return Err(Status::NotImplemented);
        } else if name.eq_ignore_ascii_case("connection") {
            for word in value.split(',').map(str::trim) {
                request.keep_alive = match word {
                    _ if word.eq_ignore_ascii_case("close") => false,
                    _ if word.eq_ignore_ascii_case("keep-alive") => true,
                    _ => request.keep_alive,
                };
            }
        }
    }
    if hosts > 1 || hosts == 0 && !request.is_old {
        return Err(Status::BadRequest);
    }
    request.body = length.unwrap_or(0);
    if request.body > LONGEST_BODY { Err(Status::ContentTooLarge) } else { Ok(request) }
}

fn is_token(word: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !word.is_empty() && word.bytes().all(is_part)
}

/// The path of a request's target, `/a%20b?c` or `http://host/a%20b`. One that would leave the root is none.
fn path(target: &str) -> Result<String, Status> {
    let local = match target.strip_prefix("http://") {
        Some(rest) => rest.find('/').map_or("/", |at| &rest[at..]),
        None => target,
    };
    let path = decoded(local.split('?').next().unwrap_or("")).ok_or(Status::BadRequest)?;
    let is_inside = |part: &str| part != ".." && part != "." && !part.contains(|c: char| c.is_control());
    if path.starts_with('/') && path.split('/').all(is_inside) { Ok(path) } else { Err(Status::BadRequest) }
}

/// Without `%20` and the like; `None`: not well made.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let mut digit = || (rest.next()? as char).to_digit(16);
        bytes.push(if byte == b'%' { (digit()? * 16 + digit()?) as u8 } else { byte });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Option<(Request, usize)>, Status> {
        parse(text.as_bytes())
    }

    fn whole(text: &str) -> Request {
        let (request, length) = parsed(text).unwrap().unwrap();
        assert_eq!(length, text.len());
        request
    }

    #[test]
    fn a_connection_stays_as_the_version_and_the_client_have_it() {
        for (text, stays) in [
            ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", true),
            ("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", false),
            ("GET / HTTP/1.0\r\n\r\n", false),
            ("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true),
            ("GET / HTTP/1.1\r\nhost:a\r\nconnection: upgrade, Close\r\n\r\n", false),
        ] {
            assert_eq!(whole(text).keep_alive, stays, "{text}");
        }
    }

    #[test]
    fn requests_are_found_one_after_the_other() {
        let text = "\r\nGET /a HTTP/1.0\r\n\r\nHEAD /b%20c?d HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc";
        let (first, length) = parsed(text).unwrap().unwrap();
        assert_eq!((first.path.as_str(), first.head_only, first.body), ("/a", false, 0));
        let (second, rest) = parsed(&text[length..]).unwrap().unwrap();
        assert_eq!((second.path.as_str(), second.head_only, second.body), ("/b c", true, 3));
        assert_eq!(&text[length + rest..], "abc");
        for end in 0..19 {
            assert_eq!(parsed(&text[..end]), Ok(None), "{end}");
        }
    }

    #[test]
    fn empty_lines_are_few() {
        for lines in 0..=EMPTY_LINES {
            let text = "\r\n".repeat(lines) + "GET / HTTP/1.0\r\n\r\n";
            assert_eq!(whole(&text).path, "/", "{lines}");
            assert_eq!(parsed(&text[..lines * 2]), Ok(None), "{lines}");
        }
        assert_eq!(parsed(&"\r\n".repeat(EMPTY_LINES + 1)), Err(Status::BadRequest));
    }

    #[test]
    fn a_head_is_known_before_the_rest_is() {
        assert!(is_head(b"HEAD / HTTP/9.9\r\n\r\n") && is_head(b"\r\nHEAD "));
        assert!(!is_head(b"HEADS / HTTP/1.0") && !is_head(b"GET /HEAD ") && !is_head(b"\r\n"));
    }

    #[test]
    fn nobody_leaves_the_root() {
        for target in [
            "/..",
            "/../etc",
            "/a/../../b",
            "/%2e%2e/b",
            "/a%2f..%2fb",
            "/./a",
            "/a%00",
            "a",
            "*",
            "",
            "/%",
            "/%zz",
            "/%ff",
        ] {
            let text = format!("GET {target} HTTP/1.0\r\n\r\n");
            assert_eq!(parsed(&text), Err(Status::BadRequest), "{target}");
        }
        assert_eq!(whole("GET http://a:80/b HTTP/1.0\r\n\r\n").path, "/b");
        assert_eq!(whole("GET /a..b/.c HTTP/1.0\r\n\r\n").path, "/a..b/.c");
    }

    #[test]
    fn what_is_wrong_has_its_number() {
        let long = "a".repeat(LONGEST_HEAD);
        for (text, status) in [
            ("GET /\r\n\r\n", Status::BadRequest),
            ("GET  / HTTP/1.0\r\n\r\n", Status::BadRequest),
            ("GET / HTTP/1.1\r\n\r\n", Status::BadRequest),
            ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", Status::BadRequest),
            ("GET / HTTP/1.0\r\nA : b\r\n\r\n", Status::BadRequest),
            ("GET / HTTP/1.0\r\nA: b\r\n c\r\n\r\n", Status::BadRequest),
            ("GET / HTTP/1.0\r\nA: b\nc: d\r\n\r\n", Status::BadRequest),
            ("GET / HTTP/1.0\r\nContent-Length: -1\r\n\r\n", Status::BadRequest),
            ("GET / HTTP/1.0\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", Status::BadRequest),
            ("GET / HTTP/1.0\r\nContent-Length: 99999999999999999999999\r\n\r\n", Status::ContentTooLarge),
            ("GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", Status::NotImplemented),
            ("GET / HTTP/2.0\r\n\r\n", Status::VersionNotSupported),
            ("GET / FTP/1.0\r\n\r\n", Status::BadRequest),
            ("POST / HTTP/1.0\r\n\r\n", Status::MethodNotAllowed),
            ("BREW / HTTP/1.0\r\n\r\n", Status::NotImplemented),
            ("G(T / HTTP/1.0\r\n\r\n", Status::BadRequest),
            (&format!("GET /{long} HTTP/1.0\r\n\r\n"), Status::HeadTooLarge),
            (&format!("GET /{long}"), Status::HeadTooLarge),
        ] {
            assert_eq!(parsed(text), Err(status), "{text}");
        }
        assert_eq!(parse(b"GET /\xff HTTP/1.0\r\n\r\n"), Err(Status::BadRequest));
    }
}
