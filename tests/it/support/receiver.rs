//! A real receiver: an HTTP server that records what arrives and answers as it is told.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use actix_web::http::StatusCode;
use actix_web::web::{Bytes, Data};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use serde_json::Value;
use standardwebhooks::{Webhook, WebhookError};
use tokio::sync::watch;

/// One request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Arrival {
    pub(crate) id: String,
    pub(crate) timestamp: i64,
    pub(crate) path: String,
    /// Names in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Arrival {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("bodies are JSON")
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("bodies are text")
    }

    /// What the official verifier says of this body under the headers that arrived.
    pub(crate) fn judged_by(&self, verifier: &Webhook, body: &[u8]) -> Result<(), WebhookError> {
        let headers: HashMap<_, _> = self.headers.clone().into_iter().collect();
        verifier.verify(body, &(&headers).try_into().expect("they arrived as headers"))
    }

    pub(crate) fn kind(&self) -> String {
        self.json()["type"].as_str().unwrap_or_default().to_owned()
    }
}

/// What to answer.
#[derive(Debug, Clone)]
pub(crate) struct Scripted {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
}

impl From<u16> for Scripted {
    fn from(status: u16) -> Self {
        Self { status, headers: Vec::new() }
    }
}

#[derive(Default)]
struct Shared {
    arrivals: Mutex<Vec<Arrival>>,
    script: Mutex<VecDeque<Scripted>>,
    /// The body of every answer; without one, `seen`.
    says: Mutex<Option<String>>,
    verifier: Mutex<Option<Webhook>>,
    /// Why the verifier refused what it refused.
    refusals: Mutex<Vec<String>>,
    /// Whether answers wait.
    holds: watch::Sender<bool>,
}

/// The server; it stops when dropped with its System.
pub(crate) struct Receiver {
    pub(crate) url: String,
    shared: Arc<Shared>,
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        let shared = Arc::new(Shared::default());
        let data = Data::from(shared.clone());
        let server =
            HttpServer::new(move || App::new().app_data(data.clone()).default_service(web::to(receive)))
                .workers(1)
                .disable_signals()
                .bind("127.0.0.1:0")
                .expect("a free port");
        let url = format!("http://{}/hook", server.addrs()[0]);
        actix_web::rt::spawn(server.run());
        Self { url, shared }
    }

    /// Answers the next requests so; afterwards 200.
    pub(crate) fn answer(&self, script: impl IntoIterator<Item = impl Into<Scripted>>) {
        self.shared.script.lock().unwrap().extend(script.into_iter().map(Into::into));
    }

    /// Answers 200 again, whatever it was told.
    pub(crate) fn recover(&self) {
        self.shared.script.lock().unwrap().clear();
    }

    /// From now on this is the body of every answer.
    pub(crate) fn says(&self, body: &str) {
        *self.shared.says.lock().unwrap() = Some(body.to_owned());
    }

    /// From now on the official verifier judges every request as it arrives, its age by this machine's clock included;
    /// what it refuses is answered 401.
    pub(crate) fn trust_only(&self, secret: &str) {
        *self.shared.verifier.lock().unwrap() = Some(Webhook::new(secret).expect("a usable secret"));
    }

    /// Answers nobody, until it is to go on.
    pub(crate) fn hold(&self) {
        self.shared.holds.send_replace(true);
    }

    /// Answers everybody.
    pub(crate) fn go_on(&self) {
        self.shared.holds.send_replace(false);
    }

    /// Why the verifier refused what it refused.
    pub(crate) fn refusals(&self) -> Vec<String> {
        self.shared.refusals.lock().unwrap().clone()
    }

    pub(crate) fn arrivals(&self) -> Vec<Arrival> {
        self.shared.arrivals.lock().unwrap().clone()
    }

    pub(crate) fn kinds(&self) -> Vec<String> {
        self.arrivals().iter().map(Arrival::kind).collect()
    }
}

async fn receive(request: HttpRequest, body: Bytes, shared: Data<Shared>) -> HttpResponse {
    let header = |name: &str| {
        request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
    };
    let arrival = Arrival {
        id: header("webhook-id"),
        timestamp: header("webhook-timestamp").parse().unwrap_or_default(),
        path: request.path().to_owned(),
        headers: request.headers().keys().map(|name| (name.to_string(), header(name.as_str()))).collect(),
        body: body.to_vec(),
    };
    shared.arrivals.lock().unwrap().push(arrival.clone());
    let mut holds = shared.holds.subscribe();
    let _ = holds.wait_for(|holds| !holds).await;
    let verdict = shared.verifier.lock().unwrap().as_ref().map(|verifier| arrival.judged_by(verifier, &body));
    if let Some(Err(refusal)) = verdict {
        shared.refusals.lock().unwrap().push(refusal.to_string());
        return HttpResponse::Unauthorized().finish();
    }
    let scripted = shared.script.lock().unwrap().pop_front().unwrap_or_else(|| 200.into());
    let mut answer = HttpResponse::build(StatusCode::from_u16(scripted.status).unwrap());
    for header in scripted.headers {
        answer.insert_header(header);
    }
    answer.body(shared.says.lock().unwrap().clone().unwrap_or_else(|| "seen".to_owned()))
}
