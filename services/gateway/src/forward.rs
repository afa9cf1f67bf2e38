//! Forwarding: a call to a public service goes to its peer byte by byte, in both directions, streams too.
//!
//! Nothing is decoded. A peer that cannot be reached is UNAVAILABLE with reason PEER_UNAVAILABLE. A drain ends streams with
//! UNAVAILABLE, and clients reconnect; a unary call in flight is never cut, its deadline bounds it.

use crate::grpc::{PeerUnavailable, peer_status};
use gauntlet_rpc::Peer;
use gauntlet_runtime::Lifecycle;
use http::{HeaderMap, Request, Response};
use http_body::Frame;
use http_body_util::{BodyStream, StreamBody};
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio_stream::StreamExt as _;
use tonic::Status;
use tonic::body::Body;
use tower::{Service, ServiceExt as _};

type Reply = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

macro_rules! forwarder {
    ($(#[$doc:meta])* $name:ident, $service:literal, $peer:literal) => {
        $(#[$doc])*
        #[derive(Clone)]
        pub(crate) struct $name {
            peer: Peer,
            lifecycle: Lifecycle,
        }

        impl $name {
            pub(crate) fn new(peer: Peer, lifecycle: &Lifecycle) -> Self {
                Self { peer, lifecycle: lifecycle.clone() }
            }
        }

        impl tonic::server::NamedService for $name {
            const NAME: &'static str = $service;
        }

        impl Service<Request<Body>> for $name {
            type Response = Response<Body>;
            type Error = Infallible;
            type Future = Reply;

            fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
                Poll::Ready(Ok(()))
            }

            fn call(&mut self, request: Request<Body>) -> Reply {
                Box::pin(forward(self.peer.clone(), self.lifecycle.clone(), $peer, request))
            }
        }
    };
}

forwarder!(
    /// Forwards `SchedulerService`.
    ToScheduler, "gauntlet.v1.SchedulerService", "scheduler"
);
forwarder!(
    /// Forwards `ResultsService`.
    ToResults, "gauntlet.v1.ResultsService", "results"
);
forwarder!(
    /// Forwards `NotifierService`.
    ToNotifier, "gauntlet.v1.NotifierService", "notifier"
);

/// Resolves when the call must end; never for a unary one.
type Cut = Pin<Box<dyn Future<Output = ()> + Send>>;

async fn forward(
    peer: Peer,
    lifecycle: Lifecycle,
    name: &'static str,
    mut request: Request<Body>,
) -> Result<Response<Body>, Infallible> {
    // A browser's text is decoded here, so neither its length nor the body's own idea of it holds; a peer resets such calls.
    request.headers_mut().remove(http::header::CONTENT_LENGTH);
    // An empty frame says nothing, and a peer takes a hundred of them on one connection for an attack.
    let says_something = |frame: &Result<Frame<bytes::Bytes>, Status>| {
        !frame.as_ref().is_ok_and(|frame| frame.data_ref().is_some_and(bytes::Bytes::is_empty))
    };
    let request = request.map(|body| {
        Body::new(StreamBody::new(BodyStream::new(body).filter(move |frame| says_something(frame))))
    });
    let mut cut: Cut = match gauntlet_rpc::is_unary(request.uri().path()) {
        true => Box::pin(std::future::pending()),
        false => Box::pin(lifecycle.drain_token().cancelled_owned()),
    };
    let answer = tokio::select! {
        biased;
        answer = peer.oneshot(request) => answer,
        () = &mut cut => Err(gauntlet_rpc::draining()),
    };
    Ok(match answer {
        Ok(response) => {
            response.map(|body| Body::new(UntilCut { body, cut, peer: name, over: false }))
        }
        Err(status) => peer_status(name, status).into_http(),
    })
}

/// A response that a drain ends with a status, so that the server's graceful stop need not wait for streams.
struct UntilCut {
    body: Body,
    cut: Cut,
    peer: &'static str,
    over: bool,
}

impl UntilCut {
    /// Ends the response with a status.
    fn end(&mut self, status: &Status) -> Option<Result<Frame<bytes::Bytes>, Status>> {
        self.over = true;
        let mut trailers = HeaderMap::new();
        // A status that cannot be written as headers ends the stream all the same.
        let _ = status.add_header(&mut trailers);
        Some(Ok(Frame::trailers(trailers)))
    }
}

impl http_body::Body for UntilCut {
    type Data = bytes::Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Status>>> {
        if self.over {
            return Poll::Ready(None);
        }
        // What is there goes out first.
        match Pin::new(&mut self.body).poll_frame(cx) {
            // The peer died in the middle: said as UNAVAILABLE, which clients retry, not as a broken stream.
            Poll::Ready(Some(Err(_))) => {
                let died = gauntlet_rpc::status(&PeerUnavailable { peer: self.peer });
                return Poll::Ready(self.end(&died));
            }
            Poll::Ready(frame) => return Poll::Ready(frame),
            Poll::Pending => {}
        }
        std::task::ready!(self.cut.as_mut().poll(cx));
        Poll::Ready(self.end(&gauntlet_rpc::draining()))
    }

    fn is_end_stream(&self) -> bool {
        self.over || self.body.is_end_stream()
    }
}
