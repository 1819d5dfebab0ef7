//! What a client is answered.

use alloc::format;
use alloc::string::String;

use crate::date::Date;

/// How it went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u16)]
pub enum Status {
    /// Here it is.
    Ok = 200,
    /// This is no request.
    BadRequest = 400,
    /// There is nothing of that name.
    NotFound = 404,
    /// Only GET and HEAD are for what is here.
    MethodNotAllowed = 405,
    /// The body is longer than anybody would read.
    ContentTooLarge = 413,
    /// The head is.
    HeadTooLarge = 431,
    /// The server failed.
    Failed = 500,
    /// No such method, or no such transfer coding.
    NotImplemented = 501,
    /// HTTP/1.1 and HTTP/1.0 are spoken.
    VersionNotSupported = 505,
}

impl Status {
    /// Its phrase.
    pub const fn phrase(self) -> &'static str {
        match self {
            Status::Ok => "OK",
            Status::BadRequest => "Bad Request",
            Status::NotFound => "Not Found",
            Status::MethodNotAllowed => "Method Not Allowed",
            Status::ContentTooLarge => "Content Too Large",
            Status::HeadTooLarge => "Request Header Fields Too Large",
            Status::Failed => "Internal Server Error",
            Status::NotImplemented => "Not Implemented",
            Status::VersionNotSupported => "HTTP Version Not Supported",
        }
    }

    /// A page that says so.
    pub fn page(self) -> String {
        let (number, phrase) = (self as u16, self.phrase());
        format!("<!doctype html><title>{number}</title><h1>{number} {phrase}</h1>\n")
    }
}

/// What becomes of the connection behind an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum After {
    /// It ends.
    Close,
    /// It stays, as HTTP/1.1 has it.
    Stay,
    /// It stays, and a client of HTTP/1.0 has to be told so.
    SayStay,
}

/// The head of an answer, whose body has so many bytes.
pub fn head(status: Status, kind: &str, length: u64, after: After, now: Date) -> String {
    let allow = if status == Status::MethodNotAllowed { "Allow: GET, HEAD\r\n" } else { "" };
    let connection = match after {
        After::Close => "Connection: close\r\n",
        After::Stay => "",
        After::SayStay => "Connection: keep-alive\r\n",
    };
    format!(
        "HTTP/1.1 {} {}\r\nServer: httpd\r\nDate: {now}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n{allow}{connection}\r\n",
        status as u16,
        status.phrase(),
    )
}

/// The media type of a file, by the end of its name.
pub fn media_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map_or("", |(_, end)| end) {
        "html" => "text/html; charset=utf-8",
        "txt" | "md" => "text/plain; charset=utf-8",
        "css" => "text/css",
        "js" => "text/javascript",
        "json" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_says_how_it_goes_on() {
        let head = |status, after| head(status, "text/plain", 7, after, Date(0));
        assert_eq!(
            head(Status::Ok, After::Stay),
            "HTTP/1.1 200 OK\r\nServer: httpd\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nContent-Type: text/plain\r\nContent-Length: 7\r\n\r\n"
        );
        assert!(head(Status::Ok, After::SayStay).ends_with("\r\nConnection: keep-alive\r\n\r\n"));
        let refused = head(Status::MethodNotAllowed, After::Close);
        assert!(refused.ends_with("\r\nAllow: GET, HEAD\r\nConnection: close\r\n\r\n"), "{refused}");
    }

    #[test]
    fn names_have_types() {
        assert_eq!(media_type("/a.b/index.html"), "text/html; charset=utf-8");
        assert_eq!(media_type("/a"), "application/octet-stream");
    }
}
