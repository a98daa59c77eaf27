//! Lunamoth: a load-test engine whose scenarios are written in Lua. This page is the map of the house.
//!
//! It is a measuring instrument. The order of aims is: right numbers, then steady load, then easy reading, then speed.
//!
//! # Rooms
//!
//! | room | owns |
//! |---|---|
//! | [`plan`] | the run as data: classes, load profile, thresholds, limits |
//! | [`stats`] | numbers: sample, histogram, recorder, tally, table, snapshot, threshold, the comparison of two runs. No network, no Lua, no clock of its own |
//! | [`load`] | making load: the shape, the life of a user, the lanes and their engine. No Lua, no protocol, no cluster |
//! | [`protocol`] | clients of the tested system; they know nothing of this program |
//! | [`script`] | Lua: bundle, VM, sandbox, watchdog and the bindings; it fills the traits of `load` and uses `protocol` |
//! | [`cluster`] | machines: messages and their bytes, QUIC, the shares of users, the journal, and the master and the worker as state machines; a local run is a cluster of one |
//! | [`front`] | people: the console's table, progress and final report, the files and the HTML report, the HTTP API and its page, the terminal UI and its ssh server, the shell's client of a master, two reports or sides compared, a worker's health |
//! | [`config`] | what is meant: defaults, file, environment, flags, checked once |
//! | [`cli`] | what was typed |
//! | [`target`] | the demo shop that scripts are tried on |
//! | [`spelling`] | which known name a misspelt one was meant to be |
//! | [`app`] | the only file that knows every room: wires one command and runs it to its exit code |
//!
//! Beside `src`: `lua-stdlib` is the Lua that scripts `require`, `scripts` the examples, `config/default.toml` every setting with its
//! default, `deploy` the manifests, the chart and the image, `tests/world` the end-to-end tests, `tests/sim` the cluster in simulated time,
//! `tests/bench` the comparison with other tools.
//!
//! # Who may name whom
//!
//! | room | may name |
//! |---|---|
//! | plan, protocol, target, spelling | nothing |
//! | stats | plan, spelling |
//! | config | plan, spelling |
//! | cli | config |
//! | load | plan, stats |
//! | script | plan, stats, load, protocol, spelling |
//! | cluster | plan, stats, load |
//! | front | plan, stats, cluster, spelling |
//! | app, main | all |
//!
//! Lua never hears of the cluster; the cluster never hears of Lua; numbers hear only of the plan; only `app` knows them all.
//! `tests/tidy.rs` holds this table, the home of each outside crate, and the sizes of files and functions.
//!
//! # Words
//!
//! One word has one meaning, in names, comments and texts.
//!
//! | word | meaning |
//! |---|---|
//! | script | a Lua file that returns a scenario |
//! | scenario | user classes, a load profile, thresholds |
//! | user | one virtual user, with a global index 0, 1, 2, ... unique in the run ([`load::VirtualUser`]) |
//! | iteration | one task run by one user |
//! | side | one of the two targets of a run that compares them ([`load::sides::Side`]); users of closed profiles are a pair there, one on each (`load/pair.rs`) |
//! | room | the users of an open profile who may begin the same iterations: those of a class, and of a side where there are two (`load::pool`) |
//! | step | `on_start`, one iteration or `on_stop` of one user ([`load::Step`]) |
//! | hop | one request and its answer; a redirect makes several, each a sample |
//! | exchange | a hop as the client saw it ([`protocol::http::Exchange`]) |
//! | sample | a hop as it is counted ([`stats::sample::Sample`]) |
//! | entry | all samples with one (method, name) |
//! | slots' owner | the worker that runs the users of a slot ([`cluster::assignment::Assignment`]) |
//! | orders | what a worker shall run from here on ([`load::slots::Orders`]) |
//! | lane | one core of a worker: thread, runtime, VMs, users, recorder. Lanes share nothing ([`load::lane`]) |
//! | slot | one of 65,536 shares of the load; user k belongs to slot k mod 65,536, of profile p to (k + p) mod 65,536 ([`load::slots`]) |
//! | profile | how work arrives, as data ([`plan::LoadProfile`]) and as answers ([`load::profile`]); a run has one, or several side by side by name |
//! | number | a user's or an iteration's place in its profile; its index is unique in the run ([`load::slots::Numbering`]) |
//! | foreman | tells the lanes of a worker what they shall run (`load/foreman.rs`) |
//! | pulse | what a worker says of itself to its lanes, so that those of one that stood still hand out nothing that may be others' (`load/pulse.rs`) |
//! | brief | all that a lane has been told: the newest state, not a queue of steps (`load/foreman.rs`) |
//! | dealer | deals the slots of a worker to its lanes, and says when each comes and goes, a turnover (`load/dealer.rs`) |
//! | duty | what one lane shall run: what the dealer has for it (`load/dealer.rs`) |
//! | tenure | the slots that a lane holds, and how far it has carried out its duty (`load/tenure.rs`) |
//! | hand-over | slots that change their owner in mid-run, each at a moment ([`load::slots::Handover`]) |
//! | roster | which class user k has, fixed by k alone (`load/roster.rs`) |
//! | allotment | which user has one more iteration, where the profile says how many there are (`load/allotment.rs`) |
//! | pool | the users of a lane in an open profile; a seat is where one waits for its next iteration (`load/pool.rs`) |
//! | strand | one profile as one lane lives it (`load/lane/strand.rs`) |
//! | shape | what a profile says of any moment, whichever its kind ([`load::shape::Shape`]) |
//! | helm | the functions of `scenario.shape`, which steer profiles of a run from the master ([`script::Helm`]) |
//! | schedule | which iteration of an open profile is due when ([`load::profile::arrivals::Schedule`]) |
//! | rota | which of those are one lane's own (`load::rota`) |
//! | arrival | an iteration that is due, until a user begins it (`load::pool`) |
//! | plan | the run as data ([`plan::Plan`]) |
//! | setting | what a person may say of a run, by flag, variable or file: one row ([`config::Setting`], [`plan::RunSettings`]) |
//! | phase | a part of a hop's duration that is a metric: one row ([`stats::phases`]) |
//! | time | a length that is measured over the whole run and is a metric: one row ([`stats::times`]) |
//! | library | what `require` gives a script: one row, with its state and its operations (`script/library.rs`) |
//! | operation | what a coroutine asks of its lane ([`script::bindings`]) |
//! | board | what all users of a run share, kept on the master ([`load::board::Board`]) |
//! | errand | what the users of a worker ask of the board in one go ([`load::errand::Errand`]) |
//! | courier | how a worker's users come to the board ([`load::courier::Courier`]) |
//! | stock | the rows of a worker that are given out once; it asks the master for them, has a grant, and gives back what is left over ([`load::stock`]) |
//! | act | what is done once for the whole run: setup, teardown ([`load::act`]) |
//! | halt | why the script ends the run for all ([`load::Halt`]) |
//! | vitals | processor time, throttling and memory of the process, as the kernel says ([`load::vitals`]) |
//! | flight | the filling of a key by one user while others wait for it |
//! | bundle | all files of one script, with their fingerprint ([`script::Bundle`]) |
//! | known request | one without options that came before: what follows from its method, URL and name is worked out (`script/bindings/http/known.rs`) |
//! | crossing | where lane and coroutine meet: values that need no handle pass here (`script/crossing.rs`) |
//! | debt | the time that those who held a lane for long leave to its other users (`load/debt.rs`) |
//! | witness | sees all that one user does, for `lunamoth check` ([`script::witness`]) |
//! | ledger | a user's samples that are not final yet (`script/ledger.rs`) |
//! | floor | what a request takes of the generator itself, measured before the first run ([`stats::floor::Floor`]) |
//! | hold | a stretch in which a script kept its lane from all other users; who did, and where, is a holder ([`stats::holds`]) |
//! | tally | what one lane counted in one second ([`stats::tally::Tally`]) |
//! | planner | makes a run of the order of a start; the cluster does not know how ([`cluster::planner::Planner`]) |
//! | workshop | where a worker's workloads come from ([`cluster::serve_worker::Workshop`]) |
//! | peer | a worker as its master knows it: its link, and whether it speaks (`cluster/master/peers.rs`) |
//! | turn | what is done in one go before anything else has its turn: with one event by the master (`cluster/master/turn.rs`), on one stream by its lane (`protocol/http/turns.rs`) |
//! | part | a worker's part in one run, on the master (`cluster/master/run/part.rs`) |
//! | commons | what the users of a run have in common on the master: rows given out once, and the board (`cluster/master/commons.rs`) |
//! | dues | what was due in a worker's slots, and what it has told of that (`cluster/master/run/dues.rs`) |
//! | hole | numbers that are lost with a worker ([`stats::snapshot::HoleView`]) |
//! | overlap | load that ran twice ([`stats::snapshot::OverlapView`]) |
//! | doorway | the places of peers that have not proved themselves yet (`cluster/transport/doorway.rs`); of ssh visitors, the doorstep (`front/ssh`) |
//! | delta | what a worker counted since its last report ([`cluster::message::Delta`]) |
//! | snapshot | what people see: one immutable view a second ([`stats::snapshot::Snapshot`]) |
//!
//! # One sample, in eight hops
//!
//! 1. A script calls `http.get("/cart")`. `lua-stdlib/http.lua` packs the call and yields it; [`script::ScriptUser`], which drives the
//!    user's coroutine, gets it as a request (`script/driver.rs`).
//! 2. `script/bindings/http/perform.rs` follows its redirects and makes of each hop a [`protocol::http::Request`], with the name of
//!    its entry, cookies, headers and time limit; of one without options that came before, `known.rs` beside it has
//!    most of that, and `repeat.rs` makes it.
//! 3. [`protocol::http::Connections`], the user's own, sends it and answers a [`protocol::http::Exchange`]: phase times, sizes, and an
//!    outcome from a closed list.
//! 4. `script/bindings/http/sample.rs` makes it a [`stats::sample::Sample`], which stays pending in the user's `script/ledger.rs` until its next request, wait or
//!    end of iteration, since an `expect` or `res:fail()` may judge it. Then [`stats::recorder::Recorder`], on the same thread, counts
//!    it: one histogram increment, no lock, no channel, no allocation.
//! 5. Once a second [`load::lane::Lane`] takes a [`stats::tally::Tally`] of what changed, and sends it in a
//!    [`load::lane::LaneReport`] through [`load::engine::Engine`]: one message a lane.
//! 6. [`cluster::worker::Worker`] merges its lanes' tallies of a second into one [`cluster::message::Delta`] with the next sequence
//!    number, and keeps it until it is acknowledged.
//! 7. [`cluster::link`] carries it to the master in one process, [`cluster::codec`] and [`cluster::transport`] between machines; the shells
//!    ([`cluster::serve_worker`], [`cluster::serve_master`]) do the carrying and decide nothing.
//! 8. [`cluster::master::Master`] merges unseen numbers into [`stats::table::Table`], acknowledges, and the shell publishes a
//!    [`stats::snapshot::Snapshot`] a second, which every front end reads: [`front::console::Printer`], and the files of
//!    [`front::report`].

pub mod app;
pub mod cli;
pub mod cluster;
pub mod config;
pub mod front;
pub mod load;
pub mod plan;
pub mod protocol;
pub mod script;
pub mod spelling;
pub mod stats;
pub mod target;
