//! `require "metric"`: measurements of the script's own, added up by the lane's recorder like all others.
//!
//! Owns which names and kinds a script may declare. How values are added up is the recorder's.

use std::cell::RefCell;
use std::rc::Rc;

use mlua::{Lua, Table};

use crate::script::context::{Stage, VmContext};
use crate::stats::recorder::{MetricId, MetricKind};

/// Registers what `lua-stdlib/metric.lua` is built on. Each native gives `nil, why` for what it refuses.
///
/// # Errors
/// Lua is out of memory.
pub fn natives(lua: &Lua, context: &Rc<VmContext>) -> mlua::Result<Table> {
    let natives = lua.create_table()?;
    let slots: Rc<RefCell<Vec<Slot>>> = Rc::default();
    let (of, known) = (Rc::clone(context), Rc::clone(&slots));
    let declare = lua.create_function(move |_, (name, kind): (String, String)| {
        Ok(match declare(&of, &mut known.borrow_mut(), &name, &kind) {
            Ok(slot) => (Some(slot), None),
            Err(why) => (None, Some(why)),
        })
    })?;
    natives.raw_set("declare", declare)?;
    let of = Rc::clone(context);
    let record = lua.create_function(move |_, (slot, value): (usize, f64)| {
        Ok(match record(&of, &mut slots.borrow_mut(), slot, value) {
            Ok(()) => (true, None),
            Err(why) => (false, Some(why)),
        })
    })?;
    natives.raw_set("record", record)?;
    Ok(natives)
}

/// A metric that one VM declared. Its number in Lua is its place in the list.
struct Slot {
    name: String,
    kind: MetricKind,
    /// The lane's own name for it, asked for at the first value.
    id: Option<MetricId>,
}

fn declare(context: &VmContext, slots: &mut Vec<Slot>, name: &str, kind: &str) -> Result<usize, String> {
    if context.stage.get() != Stage::Loading {
        return Err(format!("`{name}` is declared in mid-run: declare metrics at the top of the script"));
    }
    let kind = kind_of(kind).ok_or_else(|| format!("there is no kind `{kind}`"))?;
    check_name(name)?;
    let mut metrics = context.metrics.borrow_mut();
    match metrics.get(name) {
        Some(&known) if known != kind => return Err(format!("`{name}` is a {} already", kind_name(known))),
        Some(_) => {}
        None if metrics.len() >= METRICS_MAX => return Err(format!("a script has at most {METRICS_MAX} metrics")),
        None => {
            metrics.insert(name.to_owned(), kind);
        }
    }
    if let Some(slot) = slots.iter().position(|slot| slot.name == name) {
        return Ok(slot);
    }
    slots.push(Slot { name: name.to_owned(), kind, id: None });
    Ok(slots.len() - 1)
}

fn record(context: &VmContext, slots: &mut [Slot], slot: usize, value: f64) -> Result<(), String> {
    let slot = slots.get_mut(slot).ok_or("this is no metric")?;
    if context.stage.get() == Stage::Loading {
        return Err(format!("`{}` cannot take values while the script is loaded: add them in a task", slot.name));
    }
    let Some(lane) = &context.lane else { return Err(format!("`{}` can take values in a run only", slot.name)) };
    let mut recorder = lane.recorder.borrow_mut();
    let id = match slot.id {
        Some(id) => id,
        None => {
            let declared = recorder.declare(&slot.name, slot.kind);
            *slot.id.insert(declared.map_err(|known| format!("`{}` is a {} already", slot.name, kind_name(known)))?)
        }
    };
    recorder.metric(id, value);
    Ok(())
}

fn check_name(name: &str) -> Result<(), String> {
    let is_plain = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.chars().all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-' | '.'));
    if !is_plain || name.len() > NAME_BYTES_MAX {
        return Err(format!(
            "`{name}` is no name for a metric: up to {NAME_BYTES_MAX} letters, digits, `_`, `-` and `.`, the first a letter"
        ));
    }
    if BUILT_IN.contains(&name) || name.starts_with("http_req_") {
        return Err(format!("`{name}` is a metric of the program's own: choose another name"));
    }
    Ok(())
}

fn kind_of(name: &str) -> Option<MetricKind> {
    [MetricKind::Counter, MetricKind::Gauge, MetricKind::Rate, MetricKind::Trend].into_iter().find(|kind| kind_name(*kind) == name)
}

const fn kind_name(kind: MetricKind) -> &'static str {
    match kind {
        MetricKind::Counter => "counter",
        MetricKind::Gauge => "gauge",
        MetricKind::Rate => "rate",
        MetricKind::Trend => "trend",
    }
}

/// Of the metrics for thresholds; names that begin with `http_req_` are reserved as a whole.
const BUILT_IN: [&str; 14] = [
    "http_reqs",
    "iterations",
    "iteration_duration",
    "iterations_interrupted",
    "dropped_iterations",
    "iteration_duration_due",
    "iteration_lateness",
    "checks",
    "group_duration",
    "users",
    "data_sent",
    "data_received",
    "generator_lag",
    "clamped",
];

const METRICS_MAX: usize = 1_000;
const NAME_BYTES_MAX: usize = 100;

#[cfg(test)]
mod tests {
    use super::super::testing::context_at;
    use super::*;

    fn vm(context: &Rc<VmContext>) -> Lua {
        let lua = Lua::new();
        let natives = natives(&lua, context).unwrap();
        let module: Table = lua.load(include_str!("../../../lua-stdlib/metric.lua")).set_name("=metric").call(natives).unwrap();
        lua.globals().set("metric", module).unwrap();
        lua
    }

    fn fails(context: &Rc<VmContext>, code: &str) -> String {
        vm(context).load(code).set_name("=script").exec().unwrap_err().to_string()
    }

    #[test]
    fn metrics_are_declared_while_the_script_is_loaded() {
        let context = context_at(Stage::Loading);
        vm(&context)
            .load(
                "local a = metric.counter 'orders'; assert(a == metric.counter 'orders' and a.name == 'orders'); metric.trend 'cart_size'",
            )
            .exec()
            .unwrap();
        assert_eq!(context.metrics.borrow().get("orders"), Some(&MetricKind::Counter));
        assert_eq!(context.metrics.borrow().get("cart_size"), Some(&MetricKind::Trend));
    }

    #[test]
    fn what_is_refused_is_refused_at_the_callers_line() {
        let loading = context_at(Stage::Loading);
        for (code, why) in [
            ("metric.counter 'a'; metric.gauge 'a'", "script:1: metric.gauge: `a` is a counter already"),
            ("metric.trend 'http_req_duration'", "script:1: metric.trend: `http_req_duration` is a metric of the program's own"),
            ("metric.rate 'checks'", "script:1: metric.rate: `checks` is a metric of the program's own"),
            ("metric.rate 'a{b}'", "script:1: metric.rate: `a{b}` is no name for a metric"),
            ("metric.rate ''", "script:1: metric.rate: `` is no name for a metric"),
            ("metric.rate(5)", "script:1: metric.rate: the name must be a string, got number"),
            ("metric.counter('c'):add(1)", "script:1: metric `c`: `c` cannot take values while the script is loaded"),
            ("metric.counter('d'):add(-1)", "script:1: metric `d`: a counter takes finite numbers of 0 or more"),
            ("metric.gauge('e'):set('1')", "script:1: metric `e`: a gauge takes finite numbers"),
            ("metric.rate('f'):add(1)", "script:1: metric `f`: a rate takes true or false"),
            ("metric.trend('g'):add(0/0)", "script:1: metric `g`: a trend takes finite numbers of 0 or more"),
            ("local c = metric.counter 'h'; c.add(1)", "script:1: metric: call it with a colon"),
        ] {
            let error = fails(&loading, code);
            assert!(error.contains(why), "{code}: {error}");
        }
        let error = fails(&context_at(Stage::Running), "metric.counter 'late'");
        assert!(error.contains("script:1: metric.counter: `late` is declared in mid-run"), "{error}");
    }

    #[test]
    fn one_name_has_one_kind_in_all_vms_that_share_a_context() {
        let context = context_at(Stage::Loading);
        vm(&context).load("metric.counter 'orders'").exec().unwrap();
        assert!(fails(&context, "metric.rate 'orders'").contains("`orders` is a counter already"));
    }
}
