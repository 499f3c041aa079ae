//! Whatever is said in whatever order, each request of the client ends in one answer, and nothing is left behind.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::sample::Index;

use super::steps::{How, KINDS, Step, steps};
use super::*;

/// Both sides, and what they know to be open. The name of a request says which one it is, to both.
struct Sides {
    world: World,
    /// The client's open requests.
    open: BTreeSet<String>,
    /// The questions that the client has not answered, each with the name of its request.
    questions: BTreeMap<u64, String>,
    /// The requests that the backend has not answered.
    legs: BTreeMap<u64, Value>,
    /// The state that each request is to bring back.
    states: BTreeMap<String, Value>,
    last_number: u64,
    last_question: u64,
    drawn: usize,
}

impl Sides {
    fn begin() -> Self {
        let can = json!({ "elicitation": {}, "sampling": {}, "roots": {} });
        let mut sides = Self {
            world: World::open(can, json!({ "tools": { "listChanged": true } })),
            open: BTreeSet::new(),
            questions: BTreeMap::new(),
            legs: BTreeMap::new(),
            states: BTreeMap::new(),
            last_number: 1,
            last_question: 0,
            drawn: 0,
        };
        let out = sides.world.client(notification("notifications/initialized", json!({})));
        sides.take(&out);
        sides
    }

    fn step(&mut self, step: &Step) {
        let out = match step {
            Step::Request(method, n) => self.request(method, *n),
            Step::Cancel(at) => {
                let Some(id) = pick(self.open.iter(), at).cloned() else { return };
                self.open.remove(&id);
                self.world.client(cancel(id))
            }
            Step::Tell(at, how) => self.tell(at, *how),
            Step::Answer(at, how) => self.answer(at, *how),
            Step::Want(at, n, state) => self.want(at, *n, *state),
            Step::Notify(at, method) => self.notify(at, method),
            Step::Acknowledge(at, takes) => self.acknowledge(at, *takes),
            Step::Ask(id) => {
                let out = self.world.backend(request(*id, "sampling/createMessage", json!({})));
                assert_eq!(
                    (&out.backend()["id"], &out.backend()["error"]["code"]),
                    (&json!(id), &json!(-32601))
                );
                return;
            }
            Step::Tick(passes) => {
                self.world.now += Duration::from_millis(*passes);
                self.world.tick()
            }
        };
        self.take(&out);
    }

    fn request(&mut self, method: &str, n: usize) -> Out {
        self.drawn += 1;
        let id = format!("c-{}", self.drawn);
        let params = json!({
            "name": format!("n-{}", self.drawn), "uri": format!("u-{n}"), "level": if n == 0 { "loud" } else { "debug" },
            "_meta": { "progressToken": format!("t-{n}") },
        });
        self.open.insert(id.clone());
        self.world.client(request(id, method, params))
    }

    fn tell(&mut self, at: &Index, how: How) -> Out {
        let Some((&question, name)) = pick(self.questions.iter(), at) else {
            return self.world.client(result(&json!(9_999), json!({})));
        };
        let answer = json!({ "of": name });
        match how {
            How::Stray => return self.world.client(result(&json!(question.to_string()), json!({}))),
            How::Right => self.questions.remove(&question),
            How::Error => {
                self.questions.remove(&question);
                return self.world.client(error(&json!(question), -1, "no"));
            }
        };
        self.world.client(result(&json!(question), answer))
    }

    fn answer(&mut self, at: &Index, how: How) -> Out {
        let stray = result(&json!(self.last_number + 7), json!({}));
        let Some((&number, leg)) = pick(self.legs.iter(), at) else { return self.world.backend(stray) };
        let answer = match how {
            How::Right => result(&json!(number), json!({ "of": leg["params"]["name"], "ttlMs": 1 })),
            How::Error => error(&json!(number), -32021, "no"),
            How::Stray => return self.world.backend(stray),
        };
        self.legs.remove(&number);
        self.world.backend(answer)
    }

    fn want(&mut self, at: &Index, n: usize, state: bool) -> Out {
        let asked = self.legs.iter().filter(|(_, leg)| leg["method"] != "subscriptions/listen");
        let Some((&number, leg)) = pick(asked, at) else { return Out::default() };
        let name = leg["params"]["name"].as_str().unwrap().to_owned();
        let asks: serde_json::Map<_, _> = (0..n)
            .map(|k| {
                (format!("k{k}"), json!({ "method": KINDS[k], "params": { "of": name, "messages": [] } }))
            })
            .collect();
        let mut wants = json!({ "resultType": "input_required", "inputRequests": asks });
        self.states.remove(&name);
        if state {
            wants["requestState"] = json!(format!("s-{number}"));
            self.states.insert(name, wants["requestState"].clone());
        }
        self.legs.remove(&number);
        self.world.backend(result(&json!(number), wants))
    }

    fn notify(&mut self, at: &Index, method: &str) -> Out {
        let Some((&number, leg)) = pick(self.legs.iter(), at) else { return Out::default() };
        let is_listen = leg["method"] == "subscriptions/listen";
        let token = leg["params"]["_meta"]["progressToken"].clone();
        let mut params = json!({ "progressToken": token, "requestId": number });
        if is_listen {
            params["_meta"] = json!({ SUBSCRIPTION: number });
        }
        if is_listen && method == "notifications/cancelled" {
            self.legs.remove(&number);
        }
        self.world.backend(notification(method, params))
    }

    fn acknowledge(&mut self, at: &Index, takes: bool) -> Out {
        let listens = self.legs.iter().filter(|(_, leg)| leg["method"] == "subscriptions/listen");
        let Some((number, leg)) = pick(listens, at) else { return Out::default() };
        let honoured = if takes { leg["params"]["notifications"].clone() } else { json!({}) };
        let params = json!({ "notifications": honoured, "_meta": { SUBSCRIPTION: number } });
        self.world.backend(notification("notifications/subscriptions/acknowledged", params))
    }

    /// Both sides take what has come out, and hold it against what they know.
    fn take(&mut self, out: &Out) {
        for message in &out.to_backend {
            self.backend_hears(message);
        }
        for (message, about) in out.to_client.iter().zip(&out.about) {
            self.client_hears(message, about);
        }
        for name in self.questions.values() {
            assert!(self.open.contains(&id_of(name)), "{name} is over, and is still asked about");
        }
    }

    fn backend_hears(&mut self, message: &Value) {
        assert!(!message.to_string().contains("\"c-"), "an id of the client: {message}");
        if message["method"] == "notifications/cancelled" {
            let number = message["params"]["requestId"].as_u64().unwrap();
            assert!(self.legs.remove(&number).is_some(), "nobody waits for {number}");
            return;
        }
        let number = message["id"].as_u64().unwrap();
        assert!(number > self.last_number, "{number} has been there");
        self.last_number = number;
        let params = &message["params"];
        if let Some(told) = params["inputResponses"].as_object() {
            assert!(told.values().all(|answer| answer["of"] == params["name"]), "{message}");
        }
        let state = params["name"].as_str().and_then(|name| self.states.remove(name));
        assert_eq!(params.get("requestState"), state.as_ref());
        self.legs.insert(number, message.clone());
    }

    fn client_hears(&mut self, message: &Value, about: &Value) {
        assert!(!message.to_string().contains("modelcontextprotocol"), "{message}");
        match (message["method"].as_str(), message["id"].as_str()) {
            (None, Some(id)) => {
                assert!(self.open.remove(id), "nobody waits for {id}");
                let of = message["result"]["of"].as_str();
                assert!(of.is_none_or(|name| id_of(name) == id), "crossed: {message}");
            }
            (Some("notifications/cancelled"), _) => {
                let question = message["params"]["requestId"].as_u64().unwrap();
                let name = self.questions.remove(&question).expect("nobody was asked that");
                assert_eq!(*about, id_of(&name));
            }
            (Some(_), _) if message.get("id").is_none() => {}
            (Some(_), _) => {
                let question = message["id"].as_u64().unwrap();
                assert!(question > self.last_question && self.open.contains(about.as_str().unwrap()));
                self.last_question = question;
                let name = message["params"]["of"].as_str().unwrap().to_owned();
                assert_eq!(*about, id_of(&name));
                self.questions.insert(question, name);
            }
            _ => panic!("{message}"),
        }
    }

    /// Everybody answers what is open, until nothing is.
    fn end(mut self) {
        for _ in 0..200 {
            let questions: Vec<_> = self.questions.clone().into_iter().collect();
            for (question, name) in questions {
                self.questions.remove(&question);
                let out = self.world.client(result(&json!(question), json!({ "of": name })));
                self.take(&out);
            }
            for (number, leg) in self.legs.clone() {
                let out = match leg["method"] == "subscriptions/listen" {
                    true => {
                        let honoured = leg["params"]["notifications"].clone();
                        let params = json!({ "notifications": honoured, "_meta": { SUBSCRIPTION: number } });
                        self.world.backend(notification("notifications/subscriptions/acknowledged", params))
                    }
                    false => {
                        self.legs.remove(&number);
                        self.world.backend(result(&json!(number), json!({ "of": leg["params"]["name"] })))
                    }
                };
                self.take(&out);
            }
            self.step(&Step::Tick(1000));
            if self.open.is_empty() && self.world.machine.listening.is_settled() {
                break;
            }
        }
        assert!(self.open.is_empty(), "never answered: {:?}", self.open);
        assert!(self.questions.is_empty());
        assert!(self.legs.values().all(|leg| leg["method"] == "subscriptions/listen") && self.legs.len() < 2);
        let machine = &self.world.machine;
        assert_eq!((machine.held(), machine.requests.kept(), machine.next_deadline()), (0, 0, None));
        assert!(machine.requests.is_empty() && machine.listening.is_settled());
    }
}

/// The id of the request with this name.
fn id_of(name: &str) -> String {
    name.replacen('n', "c", 1)
}

fn pick<T>(mut from: impl Iterator<Item = T> + Clone, at: &Index) -> Option<T> {
    let count = from.clone().count();
    if count == 0 { None } else { from.nth(at.index(count)) }
}

proptest! {
    #[test]
    fn every_request_ends_in_one_answer_and_nothing_is_left(steps in steps()) {
        let mut sides = Sides::begin();
        steps.iter().for_each(|step| sides.step(step));
        sides.end();
    }
}
