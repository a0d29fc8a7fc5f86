//! Proxies that tunnel: by CONNECT, and by SOCKS 5.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// Where it listens, and what it was asked for: the lines of a CONNECT, or host and port.
pub struct Tunnel {
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Tunnel {
    /// By CONNECT; refuses all of them with 407 where it is told to.
    pub fn connect(refuses: bool) -> Self {
        Self::of(move |stream, log| {
            let mut reader = BufReader::new(stream.try_clone()?);
            let mut lines = Vec::new();
            loop {
                let mut line = String::new();
                reader.read_line(&mut line)?;
                if line.trim().is_empty() {
                    break;
                }
                lines.push(line.trim().to_owned());
            }
            let to = lines.first().and_then(|l| l.split(' ').nth(1));
            let to = to.unwrap_or_default().to_owned();
            log.lock().expect("a log").push(lines.join("\n"));
            if refuses {
                stream.write_all(
                    b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n",
                )?;
                return Ok(None);
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
            Ok(Some(to))
        })
    }

    /// By SOCKS 5. Names are looked up here: all of them are this machine.
    pub fn socks() -> Self {
        Self::of(|stream, log| {
            let mut head = [0; 2];
            stream.read_exact(&mut head)?;
            let mut methods = vec![0; head[1].into()];
            stream.read_exact(&mut methods)?;
            stream.write_all(&[5, 0])?;
            let mut request = [0; 4];
            stream.read_exact(&mut request)?;
            let host = match request[3] {
                1 => {
                    let mut ip = [0; 4];
                    stream.read_exact(&mut ip)?;
                    std::net::Ipv4Addr::from(ip).to_string()
                }
                _ => {
                    let mut length = [0; 1];
                    stream.read_exact(&mut length)?;
                    let mut name = vec![0; length[0].into()];
                    stream.read_exact(&mut name)?;
                    String::from_utf8_lossy(&name).into_owned()
                }
            };
            let mut port = [0; 2];
            stream.read_exact(&mut port)?;
            let port = u16::from_be_bytes(port);
            log.lock().expect("a log").push(format!("{host}:{port}"));
            stream.write_all(&[5, 0, 0, 1, 127, 0, 0, 1, 0, 0])?;
            Ok(Some(format!("127.0.0.1:{port}")))
        })
    }

    /// `greet` answers the client and says where to connect to.
    fn of<F>(greet: F) -> Self
    where
        F: Fn(&mut TcpStream, &Mutex<Vec<String>>) -> std::io::Result<Option<String>>
            + Send
            + Sync
            + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (log, greet) = (Arc::clone(&asked), Arc::new(greet));
        std::thread::spawn(move || {
            for mut client in listener.incoming().flatten() {
                let (log, greet) = (Arc::clone(&log), Arc::clone(&greet));
                std::thread::spawn(move || {
                    let to = greet(&mut client, &log)?;
                    let Some(to) = to else { return Ok(()) };
                    let mut server = TcpStream::connect(to)?;
                    let (mut from, mut back) = (client.try_clone()?, server.try_clone()?);
                    std::thread::spawn(move || std::io::copy(&mut from, &mut back));
                    std::io::copy(&mut server, &mut client).map(drop)
                });
            }
        });
        Self { address, asked }
    }

    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("a log").clone()
    }
}
