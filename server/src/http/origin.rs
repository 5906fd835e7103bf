//! Where a request comes from. Behind a proxy it is what the proxy has seen, never what the client says of itself.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use axum::{
    extract::{ConnectInfo, MatchedPath, Request, State},
    http::{HeaderMap, StatusCode},
    middleware::Next,
    response::Response,
};
use serde_json::json;

use crate::{
    Server, audit,
    origin::{self, Origin},
    tls::Proxies,
};

/// In it each proxy appends the address that has asked it.
const FORWARDED: &str = "x-forwarded-for";

/// The address that a request comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Source(pub(super) IpAddr);

/// Carries with each request where it comes from, and notes those that were refused.
pub(super) async fn remember(State(server): State<Arc<Server>>, mut request: Request, next: Next) -> Response {
    let Some(ConnectInfo(peer)) = request.extensions().get::<ConnectInfo<SocketAddr>>().copied() else {
        // Whoever calls the router itself, without a connection.
        return next.run(request).await;
    };
    let address = source(peer.ip(), request.headers(), &server.proxies);
    request.extensions_mut().insert(Source(address));
    let method = request.method().clone();
    let path = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let origin = Arc::new(Origin::new(address));
    origin::within(origin.clone(), async {
        let response = next.run(request).await;
        if response.status() == StatusCode::FORBIDDEN || origin.is_refused() {
            let detail = json!({ "method": method.as_str(), "path": path });
            audit::note_refused(&server, &origin, &detail).await;
        }
        response
    })
    .await
}

/// Whoever has asked the outermost of the trusted proxies; the peer itself, where it is none. What stands left of that in the
/// header, the client has written.
fn source(peer: IpAddr, headers: &HeaderMap, proxies: &[Proxies]) -> IpAddr {
    let is_proxy = |address| proxies.iter().any(|proxies| proxies.has(address));
    let mut source = peer.to_canonical();
    let named: Vec<&str> =
        headers.get_all(FORWARDED).iter().flat_map(|value| value.to_str().unwrap_or_default().split(',')).collect();
    for name in named.into_iter().rev() {
        if !is_proxy(source) {
            break;
        }
        let Some(address) = address(name.trim()) else { break };
        source = address;
    }
    source
}

/// An address as proxies write it, some with a port.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let with_port = || text.parse::<SocketAddr>().map(|address| address.ip());
    bare.parse::<IpAddr>().or_else(|_| with_port()).ok().map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_trusted_proxy_has_appended_counts() {
        let proxies =
            ["127.0.0.1", "10.0.0.0/24", "::1"].map(|proxy| Proxies::try_from(proxy.to_owned()).expect("a proxy"));
        for (peer, headers, expected) in [
            ("127.0.0.1", &["203.0.113.9"][..], "203.0.113.9"),
            // The client has written all but the last.
            ("127.0.0.1", &["1.2.3.4, 203.0.113.9"], "203.0.113.9"),
            ("127.0.0.1", &["1.2.3.4", "203.0.113.9"], "203.0.113.9"),
            ("127.0.0.1", &["1.2.3.4, 203.0.113.9, 10.0.0.7"], "203.0.113.9"),
            ("127.0.0.1", &["10.0.0.3, 203.0.113.9"], "203.0.113.9"),
            // Nobody's word but a proxy's.
            ("198.51.100.1", &["203.0.113.9"], "198.51.100.1"),
            ("127.0.0.1", &[], "127.0.0.1"),
            ("127.0.0.1", &["nonsense"], "127.0.0.1"),
            ("127.0.0.1", &["203.0.113.9, nonsense"], "127.0.0.1"),
            ("::ffff:127.0.0.1", &["203.0.113.9:4711"], "203.0.113.9"),
            ("::1", &["[2001:db8::1]:443"], "2001:db8::1"),
            ("::1", &["::ffff:203.0.113.9"], "203.0.113.9"),
        ] {
            let mut map = HeaderMap::new();
            for header in headers {
                map.append(FORWARDED, header.parse().expect("a header"));
            }
            let source = source(peer.parse().expect("an address"), &map, &proxies);
            assert_eq!(source.to_string(), expected, "{peer} {headers:?}");
        }
        let none = source("127.0.0.1".parse().expect("an address"), &HeaderMap::new(), &[]);
        assert_eq!(none.to_string(), "127.0.0.1");
    }
}
