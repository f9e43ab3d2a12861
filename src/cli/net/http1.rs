//! Just enough HTTP/1.1 over TCP, in both directions.
//!
//! Why not awc: the load generator shares its processors with the server that it measures. A request here costs one
//! buffer and one `write`, where a full client costs a pool, header maps and a future per request, about as much as
//! the server's own HTTP. `httparse` does the parsing; connections, framing and nothing else are ours.

use std::io;
use std::time::Duration;

use httparse::{EMPTY_HEADER, Header, Status};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Heads above it are not from a server of ours.
const MAX_HEAD: usize = 64 * 1024;
const MAX_HEADERS: usize = 48;
const READ_AT_LEAST: usize = 16 * 1024;
/// A connection on a local network opens at once or not at all.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// A stream with what was read of it and not used yet.
#[derive(Debug)]
pub(in crate::cli) struct Incoming<S> {
    stream: S,
    buffer: Vec<u8>,
    used: usize,
}

/// How much of a body is still to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Body {
    /// This many bytes.
    Exactly(u64),
    /// Chunks: the size of the next one comes first.
    ChunkSize,
    /// The rest of a chunk.
    Chunk(u64),
    /// The line end after a chunk.
    ChunkEnd,
    /// Trailers, up to an empty line.
    Trailers,
    /// Whatever comes until the other side closes.
    UntilClose,
    /// Nothing.
    Done,
}

/// The head of an answer.
#[derive(Debug, Clone, Copy)]
pub(in crate::cli) struct ResponseHead {
    /// The status code.
    pub(in crate::cli) status: u16,
    /// What follows.
    pub(in crate::cli) body: Body,
    /// Whether the connection may be used again.
    pub(in crate::cli) keeps_open: bool,
}

impl<S: AsyncRead + Unpin> Incoming<S> {
    /// Nothing read yet.
    pub(in crate::cli) fn new(stream: S) -> Self {
        Self { stream, buffer: Vec::with_capacity(READ_AT_LEAST), used: 0 }
    }

    /// Reads a head with `parse`, which answers how many bytes it took. `None` when the other side closed instead of
    /// beginning one.
    pub(in crate::cli) async fn head<T>(
        &mut self,
        parse: impl Fn(&[u8]) -> Result<Option<(usize, T)>, httparse::Error>,
    ) -> io::Result<Option<T>> {
        loop {
            match parse(self.unused()).map_err(invalid)? {
                Some((length, head)) => {
                    self.used += length;
                    return Ok(Some(head));
                }
                None if self.unused().len() > MAX_HEAD => return Err(invalid("the head is too long")),
                None => {}
            }
            if self.fill().await? == 0 {
                let between = self.unused().is_empty();
                return if between { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
            }
        }
    }

    /// Appends the next piece of a body to `to`; false when the body is complete.
    pub(in crate::cli) async fn piece(&mut self, body: &mut Body, to: &mut Vec<u8>) -> io::Result<bool> {
        loop {
            match *body {
                Body::Done => return Ok(false),
                Body::Exactly(0) => *body = Body::Done,
                Body::Chunk(0) => *body = Body::ChunkEnd,
                Body::Exactly(left) => {
                    *body = Body::Exactly(left - self.take(left, to).await?);
                    return Ok(true);
                }
                Body::Chunk(left) => {
                    *body = Body::Chunk(left - self.take(left, to).await?);
                    return Ok(true);
                }
                Body::ChunkSize => *body = self.chunk_size().await?,
                Body::ChunkEnd => {
                    self.line().await?;
                    *body = Body::ChunkSize;
                }
                Body::Trailers if self.line().await? == 0 => *body = Body::Done,
                Body::Trailers => {}
                Body::UntilClose if self.unused().is_empty() && self.fill().await? == 0 => *body = Body::Done,
                Body::UntilClose => {
                    self.take(u64::MAX, to).await?;
                    return Ok(true);
                }
            }
        }
    }

    /// Appends a whole body to `to`.
    pub(in crate::cli) async fn whole(&mut self, mut body: Body, to: &mut Vec<u8>) -> io::Result<()> {
        while self.piece(&mut body, to).await? {}
        Ok(())
    }

    /// Reads the head of an answer.
    pub(in crate::cli) async fn response_head(&mut self) -> io::Result<ResponseHead> {
        self.head(parse_response).await?.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    fn unused(&self) -> &[u8] {
        &self.buffer[self.used..]
    }

    async fn fill(&mut self) -> io::Result<usize> {
        self.buffer.drain(..self.used);
        self.used = 0;
        self.buffer.reserve(READ_AT_LEAST);
        self.stream.read_buf(&mut self.buffer).await
    }

    /// Moves up to `limit` bytes, at least one.
    async fn take(&mut self, limit: u64, to: &mut Vec<u8>) -> io::Result<u64> {
        if self.unused().is_empty() && self.fill().await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let length = self.unused().len().min(usize::try_from(limit).unwrap_or(usize::MAX));
        to.extend_from_slice(&self.unused()[..length]);
        self.used += length;
        Ok(length as u64)
    }

    async fn chunk_size(&mut self) -> io::Result<Body> {
        loop {
            match httparse::parse_chunk_size(self.unused()) {
                Ok(Status::Complete((length, size))) => {
                    self.used += length;
                    return Ok(if size == 0 { Body::Trailers } else { Body::Chunk(size) });
                }
                Ok(Status::Partial) if self.fill().await? > 0 => {}
                Ok(Status::Partial) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Err(_) => return Err(invalid("a chunk without a size")),
            }
        }
    }

    /// Skips a line and answers its length without the line end.
    async fn line(&mut self) -> io::Result<usize> {
        loop {
            if let Some(length) = self.unused().windows(2).position(|pair| pair == b"\r\n") {
                self.used += length + 2;
                return Ok(length);
            }
            if self.fill().await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

impl Body {
    /// The framing that these headers announce; `otherwise` when they announce none.
    pub(in crate::cli) fn of(headers: &[Header<'_>], otherwise: Self) -> Self {
        if value(headers, "transfer-encoding").is_some_and(|v| v.eq_ignore_ascii_case(b"chunked")) {
            return Self::ChunkSize;
        }
        let length = value(headers, "content-length").and_then(|v| std::str::from_utf8(v).ok()?.parse().ok());
        length.map_or(otherwise, Self::Exactly)
    }
}

/// The value of a header.
pub(in crate::cli) fn value<'a>(headers: &[Header<'a>], name: &str) -> Option<&'a [u8]> {
    headers.iter().find(|header| header.name.eq_ignore_ascii_case(name)).map(|header| header.value)
}

/// Parses the head of a request and hands it to `make`.
pub(in crate::cli) fn parse_request<T>(
    bytes: &[u8],
    make: impl Fn(&httparse::Request<'_, '_>) -> T,
) -> Result<Option<(usize, T)>, httparse::Error> {
    let mut headers = [EMPTY_HEADER; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    Ok(match request.parse(bytes)? {
        Status::Complete(length) => Some((length, make(&request))),
        Status::Partial => None,
    })
}

fn parse_response(bytes: &[u8]) -> Result<Option<(usize, ResponseHead)>, httparse::Error> {
    let mut headers = [EMPTY_HEADER; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let Status::Complete(length) = response.parse(bytes)? else { return Ok(None) };
    let status = response.code.unwrap_or_default();
    let otherwise = if matches!(status, 204 | 304) { Body::Done } else { Body::UntilClose };
    let body = Body::of(response.headers, otherwise);
    let closes = value(response.headers, "connection").is_some_and(|v| v.eq_ignore_ascii_case(b"close"));
    let keeps_open = !closes && body != Body::UntilClose;
    Ok(Some((length, ResponseHead { status, body, keeps_open })))
}

/// Opens a connection that sends every write at once.
pub(in crate::cli) async fn connect(authority: &str) -> io::Result<TcpStream> {
    let stream = tokio::time::timeout(CONNECT_WITHIN, TcpStream::connect(authority))
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Sends one request on a connection and reads its answer's body into `answer`, which is emptied first.
pub(in crate::cli) async fn exchange(
    connection: &mut Incoming<TcpStream>,
    request: &[u8],
    answer: &mut Vec<u8>,
) -> io::Result<ResponseHead> {
    answer.clear();
    connection.stream.write_all(request).await?;
    let head = connection.response_head().await?;
    connection.whole(head.body, answer).await?;
    Ok(head)
}

fn invalid(problem: impl ToString) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, problem.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stream that gives its bytes in pieces, to meet every boundary.
    fn in_pieces(bytes: &'static [u8], size: usize) -> impl AsyncRead + Unpin {
        let (reader, mut writer) = tokio::io::duplex(size);
        tokio::spawn(async move { writer.write_all(bytes).await });
        reader
    }

    async fn read(bytes: &'static [u8], size: usize) -> io::Result<(u16, String, bool)> {
        let mut incoming = Incoming::new(in_pieces(bytes, size));
        let head = incoming.response_head().await?;
        let mut body = Vec::new();
        incoming.whole(head.body, &mut body).await?;
        Ok((head.status, String::from_utf8(body).unwrap(), head.keeps_open))
    }

    #[tokio::test]
    async fn answers_are_read_whatever_their_framing_and_their_pieces() {
        for (bytes, expected) in [
            (&b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"[..], (200, "hello", true)),
            (
                b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nhel\r\n0002\r\nlo\r\n0\r\n\r\n",
                (200, "hello", true),
            ),
            (
                b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1;x=y\r\nh\r\n0\r\nTrailer: 1\r\n\r\n",
                (200, "h", true),
            ),
            (b"HTTP/1.1 429 Busy\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", (429, "", false)),
            (b"HTTP/1.1 204 No Content\r\n\r\n", (204, "", true)),
            (b"HTTP/1.1 200 OK\r\n\r\nall of it", (200, "all of it", false)),
        ] {
            for size in [1, 2, 7, 4096] {
                let (status, body, keeps_open) = read(bytes, size).await.unwrap();
                assert_eq!((status, body.as_str(), keeps_open), expected, "in pieces of {size}");
            }
        }
    }

    #[tokio::test]
    async fn what_is_cut_off_or_no_http_is_an_error() {
        for bytes in [
            &b""[..],
            b"HTTP/1.1 200 OK\r\nContent-Le",
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhel",
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nhello\r\n",
            b"SSH-2.0-OpenSSH\r\n\r\n",
        ] {
            assert!(read(bytes, 3).await.is_err(), "{:?}", String::from_utf8_lossy(bytes));
        }
    }
}
