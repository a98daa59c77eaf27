//! One page: its tree, its elements by number, selecting, text and markup. Knows which form the parser gave a field to.

use std::cell::{Ref, RefCell};

use ego_tree::iter::Edge;
use html5ever::driver::{self, ParseOpts};
use html5ever::interface::{ElementFlags, NodeOrText, QuirksMode, TreeSink};
use html5ever::tendril::{StrTendril, TendrilSink};
use html5ever::{Attribute, QualName};
use rustc_hash::FxHashMap;
use scraper::{ElementRef, Html, HtmlTreeSink, Node, Selector};

use crate::script::watchdog;

/// The type by which the tree names its nodes.
type NodeId = <HtmlTreeSink as TreeSink>::Handle;

/// A page that has been read.
pub(super) struct Page {
    html: Html,
    /// All elements in the order of the document, and behind which number the descendants of each end.
    elements: Vec<(NodeId, usize)>,
    numbers: FxHashMap<NodeId, usize>,
    /// The forms that the parser gave fields to, where no ancestor shows them.
    owners: FxHashMap<NodeId, NodeId>,
    text_bytes: usize,
}

impl Page {
    /// Reads a page. `None` where the script's time is over before its end.
    pub(super) fn read(text: &str) -> Option<Self> {
        let sink = Sink { tree: HtmlTreeSink::new(Html::new_document()), owners: RefCell::default() };
        let mut parser = driver::parse_document(sink, ParseOpts::default());
        let mut rest = text;
        while !rest.is_empty() {
            // In a tree that is deep, each of its elements costs as much as the tree is deep: so the pieces are small.
            let (piece, after) = rest.split_at(rest.floor_char_boundary(PIECE_BYTES.min(rest.len())));
            parser.process(StrTendril::from_slice(piece));
            if watchdog::is_struck() {
                return None;
            }
            rest = after;
        }
        let (html, owners) = parser.finish();
        let mut elements: Vec<(NodeId, usize)> = Vec::new();
        let mut numbers = FxHashMap::default();
        let mut open = Vec::new();
        for edge in html.tree.root().traverse() {
            match edge {
                Edge::Open(node) if node.value().is_element() => {
                    numbers.insert(node.id(), elements.len());
                    open.push(elements.len());
                    elements.push((node.id(), 0));
                }
                Edge::Close(node) if node.value().is_element() => {
                    let end = elements.len();
                    let number = open.pop().expect("each element that is closed was opened");
                    elements[number].1 = end;
                }
                _ => {}
            }
        }
        Some(Self { html, elements, numbers, owners, text_bytes: text.len() })
    }

    /// Bytes in memory, roughly.
    pub(super) fn bytes(&self) -> usize {
        self.html.tree.values().len() * NODE_BYTES + self.text_bytes * 2
    }

    /// How many elements there are.
    pub(super) fn count(&self) -> usize {
        self.elements.len()
    }

    /// The element of a number.
    pub(super) fn element(&self, number: usize) -> Option<ElementRef<'_>> {
        let (id, _) = self.elements.get(number)?;
        ElementRef::wrap(self.html.tree.get(*id)?)
    }

    /// The number of an element.
    pub(super) fn number(&self, element: ElementRef<'_>) -> Option<usize> {
        self.numbers.get(&element.id()).copied()
    }

    /// The form that the parser gave the element to.
    pub(super) fn owner(&self, element: ElementRef<'_>) -> Option<usize> {
        self.numbers.get(self.owners.get(&element.id())?).copied()
    }

    /// The elements in `from`, or in the whole page, that a selector matches, in the order of the document.
    pub(super) fn select(&self, from: Option<usize>, selector: &Selector, is_first: bool) -> Result<Vec<usize>, String> {
        let scope = from.and_then(|number| self.element(number));
        let range = match from {
            None => 0..self.elements.len(),
            Some(number) => number + 1..self.elements.get(number).map_or(number + 1, |element| element.1),
        };
        let mut found = Vec::new();
        for number in range {
            if watchdog::is_struck() {
                return Err("it takes too long".to_owned());
            }
            let Some(element) = self.element(number) else { continue };
            if selector.matches_with_scope(&element, scope) {
                found.push(number);
                if is_first {
                    break;
                }
            }
        }
        Ok(found)
    }

    /// The name of an element, in lower case.
    pub(super) fn name(&self, number: usize) -> Option<&str> {
        Some(self.element(number)?.value().name())
    }

    /// An attribute of an element, by its name in lower case.
    pub(super) fn attribute(&self, number: usize, name: &str) -> Option<&str> {
        self.element(number)?.attr(&name.to_ascii_lowercase())
    }

    /// The text of an element, or of the page: without scripts and styles, white space made one space.
    pub(super) fn text(&self, number: Option<usize>) -> String {
        let root = self.html.tree.root();
        let top = number.and_then(|number| self.html.tree.get(self.elements.get(number)?.0)).unwrap_or(root);
        let mut text = String::new();
        let mut hidden = 0_usize;
        for edge in top.traverse() {
            match edge {
                Edge::Open(node) => match node.value() {
                    Node::Element(element) if is_hidden(element.name()) => hidden += 1,
                    Node::Text(piece) if hidden == 0 => text.push_str(piece),
                    // Words of neighbouring blocks are words of their own.
                    Node::Element(element) if is_block(element.name()) => text.push(' '),
                    _ => {}
                },
                Edge::Close(node) => match node.value() {
                    Node::Element(element) if is_hidden(element.name()) => hidden = hidden.saturating_sub(1),
                    Node::Element(element) if is_block(element.name()) => text.push(' '),
                    _ => {}
                },
            }
        }
        text.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// The markup of an element, itself included, or of the page.
    pub(super) fn markup(&self, number: Option<usize>) -> String {
        match number.and_then(|number| self.element(number)) {
            Some(element) => element.html(),
            None => self.html.html(),
        }
    }
}

/// What no reader sees.
fn is_hidden(name: &str) -> bool {
    matches!(name, "script" | "style" | "template" | "noscript")
}

fn is_block(name: &str) -> bool {
    matches!(
        name,
        "address" | "article" | "aside" | "blockquote" | "body" | "br" | "dd" | "div" | "dl" | "dt" | "fieldset" | "footer" | "form" | "h1"
            | "h2" | "h3" | "h4" | "h5" | "h6" | "head" | "header" | "hr" | "legend" | "li" | "main" | "nav" | "ol" | "option" | "p" | "pre"
            | "section" | "select" | "table" | "td" | "textarea" | "th" | "title" | "tr" | "ul"
    )
}

/// The crate's tree, and the owners of fields, which it forgets.
struct Sink {
    tree: HtmlTreeSink,
    owners: RefCell<FxHashMap<NodeId, NodeId>>,
}

impl TreeSink for Sink {
    type Handle = NodeId;
    type Output = (Html, FxHashMap<NodeId, NodeId>);
    type ElemName<'a> = Ref<'a, QualName>;

    fn finish(self) -> Self::Output {
        (self.tree.finish(), self.owners.into_inner())
    }

    fn associate_with_form(&self, target: &NodeId, form: &NodeId, _nodes: (&NodeId, Option<&NodeId>)) {
        self.owners.borrow_mut().insert(*target, *form);
    }

    fn parse_error(&self, msg: std::borrow::Cow<'static, str>) {
        self.tree.parse_error(msg);
    }

    fn get_document(&self) -> NodeId {
        self.tree.get_document()
    }

    fn elem_name<'a>(&'a self, target: &'a NodeId) -> Self::ElemName<'a> {
        self.tree.elem_name(target)
    }

    fn create_element(&self, name: QualName, attrs: Vec<Attribute>, flags: ElementFlags) -> NodeId {
        self.tree.create_element(name, attrs, flags)
    }

    fn create_comment(&self, text: StrTendril) -> NodeId {
        self.tree.create_comment(text)
    }

    fn create_pi(&self, target: StrTendril, data: StrTendril) -> NodeId {
        self.tree.create_pi(target, data)
    }

    fn append(&self, parent: &NodeId, child: NodeOrText<NodeId>) {
        self.tree.append(parent, child);
    }

    fn append_based_on_parent_node(&self, element: &NodeId, prev_element: &NodeId, child: NodeOrText<NodeId>) {
        self.tree.append_based_on_parent_node(element, prev_element, child);
    }

    fn append_doctype_to_document(&self, name: StrTendril, public_id: StrTendril, system_id: StrTendril) {
        self.tree.append_doctype_to_document(name, public_id, system_id);
    }

    fn get_template_contents(&self, target: &NodeId) -> NodeId {
        self.tree.get_template_contents(target)
    }

    fn same_node(&self, x: &NodeId, y: &NodeId) -> bool {
        x == y
    }

    fn set_quirks_mode(&self, mode: QuirksMode) {
        self.tree.set_quirks_mode(mode);
    }

    fn append_before_sibling(&self, sibling: &NodeId, new_node: NodeOrText<NodeId>) {
        self.tree.append_before_sibling(sibling, new_node);
    }

    fn add_attrs_if_missing(&self, target: &NodeId, attrs: Vec<Attribute>) {
        self.tree.add_attrs_if_missing(target, attrs);
    }

    fn remove_from_parent(&self, target: &NodeId) {
        self.tree.remove_from_parent(target);
    }

    fn reparent_children(&self, node: &NodeId, new_parent: &NodeId) {
        self.tree.reparent_children(node, new_parent);
    }
}

/// Between two looks at the clock.
const PIECE_BYTES: usize = 1024;

/// Of one node with its name and attributes, about.
const NODE_BYTES: usize = 200;
