//! One try of a delivery over HTTP, and what its end means.
//!
//! One client is made at the start and used for all: no redirect is followed, no proxy asked, no connection kept (each try
//! resolves, vets and connects anew), and the time limit counts from the look-up of the name. Nothing is recorded here. A
//! crash in the middle of a try leaves it to the claim that runs out.

use crate::guard::{Guard, Refused};
use crate::sign::Secret;
use crate::store::DueDelivery;
use gauntlet_runtime::{Clock, error_chain};
use reqwest::dns::Resolve;
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder};
use std::sync::Arc;
use std::time::Duration;

/// How long one try may take, from the look-up of the name to the status.
const TRY_TIMEOUT: Duration = Duration::from_secs(10);

/// How one try ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The receiver has it.
    Accepted,
    /// Another try may help.
    Failed(String),
    /// No other try can help.
    Hopeless(String),
}

/// Calls receivers.
pub(crate) struct Poster {
    client: Client,
    guard: Guard,
    secret: Secret,
    /// False when this machine has no CA certificates, so that no receiver's can be checked.
    has_roots: bool,
}

impl Poster {
    /// Makes the client. Without CA certificates there is one that can call http only: most meshes on one machine need no
    /// more, and a delivery to https says what is missing.
    pub(crate) fn new(guard: Guard, secret: Secret) -> Result<Self, reqwest::Error> {
        match builder(guard, TRY_TIMEOUT).build() {
            Ok(client) => Ok(Self { client, guard, secret, has_roots: true }),
            Err(error) => {
                tracing::warn!(error = %error_chain(&error), "no receiver can be called by https");
                Self::without_roots(guard, secret)
            }
        }
    }

    fn without_roots(guard: Guard, secret: Secret) -> Result<Self, reqwest::Error> {
        let client = builder(guard, TRY_TIMEOUT).tls_certs_only([]).build()?;
        Ok(Self { client, guard, secret, has_roots: false })
    }

    /// Sends once.
    pub(crate) async fn post(&self, due: &DueDelivery) -> Answer {
        let url = match self.guard.vet(&due.url) {
            Ok(url) => url,
            Err(refused) => return refused.into(),
        };
        if url.scheme() == "https" && !self.has_roots {
            let missing = "the notifier's machine has no CA certificates to check the receiver's";
            return Answer::Failed(missing.to_owned());
        }
        let timestamp_s = Clock::system().now().as_second();
        let request = self
            .client
            .post(url)
            .header("content-type", "application/json")
            .header("webhook-id", &due.delivery_id)
            .header("webhook-timestamp", timestamp_s)
            .header("webhook-signature", self.secret.sign(&due.delivery_id, timestamp_s, &due.body))
            .body(due.body.clone());
        match request.send().await.map(|response| response.status().as_u16()) {
            Ok(200..=299) => Answer::Accepted,
            Ok(410) => Answer::Hopeless("the receiver answered 410 gone".to_owned()),
            Ok(status) => Answer::Failed(format!("the receiver answered {status}")),
            Err(error) => failure(&error),
        }
    }
}

impl From<Refused> for Answer {
    fn from(refused: Refused) -> Self {
        if refused.may_pass_later() {
            Self::Failed(refused.to_string())
        } else {
            Self::Hopeless(refused.to_string())
        }
    }
}

fn builder(resolver: impl Resolve + 'static, try_timeout: Duration) -> ClientBuilder {
    Client::builder()
        .user_agent(concat!("gauntlet/", env!("CARGO_PKG_VERSION")))
        .dns_resolver(Arc::new(resolver))
        .redirect(Policy::none())
        .no_proxy()
        .pool_max_idle_per_host(0)
        .timeout(try_timeout)
}

/// The library's own text is not recorded: it may repeat the URL.
fn failure(error: &reqwest::Error) -> Answer {
    if let Some(refused) = Refused::behind(error) {
        return refused.into();
    }
    let kind = if error.is_timeout() {
        "the receiver took too long"
    } else if error.is_connect() {
        "the receiver could not be reached"
    } else {
        "the call failed"
    };
    Answer::Failed(kind.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use gauntlet_testkit::FakeWebhookReceiver;
    use reqwest::dns::{Name, Resolving};

    const LOCAL: Guard = Guard { allow_loopback: true };

    fn secret() -> Secret {
        // A process that is not the gauntlet program has no default yet; a second install is refused and harmless.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        Secret::load_or_create(&folder.path().join("secret")).unwrap()
    }

    fn due(url: &str) -> DueDelivery {
        DueDelivery {
            delivery_id: "msg_1".to_owned(),
            url: url.to_owned(),
            receiver: String::new(),
            body: "{}".to_owned(),
            attempt_count: 1,
            run_id: gauntlet_core::RunId(gauntlet_runtime::ids::v7()),
            traceparent: String::new(),
        }
    }

    #[tokio::test]
    async fn without_ca_certificates_http_is_called_and_https_says_what_is_missing() {
        let receiver = FakeWebhookReceiver::start().await;
        let poster = Poster::without_roots(LOCAL, secret()).unwrap();
        assert_eq!(poster.post(&due(&receiver.url())).await, Answer::Accepted);
        let https = due(&receiver.url().replace("http:", "https:"));
        let Answer::Failed(error) = poster.post(&https).await else { panic!("not failed") };
        assert!(error.contains("no CA certificates"), "{error}");
    }

    #[tokio::test]
    async fn e5_a_name_is_refused_by_the_address_behind_it() {
        let receiver = FakeWebhookReceiver::start().await;
        let url = receiver.url().replace("127.0.0.1", "localhost");
        let open = Poster::new(LOCAL, secret()).unwrap();
        assert_eq!(open.post(&due(&url)).await, Answer::Accepted);
        let strict = Poster::new(Guard { allow_loopback: false }, secret()).unwrap();
        assert_eq!(strict.post(&due(&url)).await, Refused::Address.into());
        assert!(matches!(Refused::Address.into(), Answer::Hopeless(_)));
        assert_eq!(receiver.received().len(), 1);
    }

    /// Name servers that never answer.
    struct Stuck;

    impl Resolve for Stuck {
        fn resolve(&self, _: Name) -> Resolving {
            Box::pin(std::future::pending())
        }
    }

    #[tokio::test]
    async fn the_look_up_of_a_name_counts_as_part_of_the_try() {
        let secret = secret();
        let client = builder(Stuck, Duration::from_millis(50)).tls_certs_only([]);
        let client = client.build().unwrap();
        let poster = Poster { client, guard: LOCAL, secret, has_roots: true };
        let due = due("http://a.example/");
        let answered = tokio::time::timeout(TRY_TIMEOUT, poster.post(&due));
        let late = Answer::Failed("the receiver took too long".to_owned());
        assert_eq!(answered.await, Ok(late));
    }
}
