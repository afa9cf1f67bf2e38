//! How a value stands in the document, described once for reading, writing and the schema.
//!
//! A record's description names its fields in order; in each of the three modes the same calls read, write or describe them.
//! Reading notes every problem and goes on; a description ends in `?` only after all fields were named.

use serde_json::{Map, Value, json};

use crate::{
    error::{ImportErrors, Problem},
    fields::type_of,
    near::nearest,
};

/// Where in a document something stands, and where to note what is wrong with it.
pub(super) struct Place<'p> {
    pub(super) path: String,
    pub(super) step: Option<(usize, String)>,
    pub(super) errors: &'p mut ImportErrors,
}

impl Place<'_> {
    /// Returns the place of a field (or `[index]`) within this one.
    pub(super) fn within(&mut self, field: &str) -> Place<'_> {
        let bare = self.path.is_empty() || field.is_empty() || field.starts_with('[');
        let path = format!("{}{}{field}", self.path, if bare { "" } else { "." });
        Place { path, step: self.step.clone(), errors: self.errors }
    }

    /// Notes what is wrong here.
    pub(super) fn wrong(&mut self, message: impl Into<String>) {
        let mut problem = Problem::of_field(self.path.clone(), message);
        if let Some((number, kind)) = &self.step {
            problem.step_number = Some(*number);
            problem.step_type = (!kind.is_empty()).then(|| kind.clone());
        }
        self.errors.push(problem);
    }

    /// Notes that something else was expected here.
    pub(super) fn expected<T>(&mut self, what: &str, found: &Value) -> Option<T> {
        self.wrong(format!("must be {what}, not {}", type_of(found)));
        None
    }
}

/// A value of the document.
pub(super) trait Form: Sized {
    /// The name under which the schema defines it once, if it is worth a name.
    const DEFINITION: Option<&'static str> = None;

    /// Reads the value; what is wrong is noted.
    fn read(value: &Value, place: &mut Place<'_>) -> Option<Self>;
    /// Writes the value.
    fn write(&self) -> Value;
    /// Describes the value.
    fn schema(definitions: &mut Map<String, Value>) -> Value;
}

/// Describes a value where it is used: by reference if it has a name.
pub(super) fn schema_of<T: Form>(definitions: &mut Map<String, Value>) -> Value {
    let Some(name) = T::DEFINITION else { return T::schema(definitions) };
    if !definitions.contains_key(name) {
        // Known before it is described, for what contains itself.
        definitions.insert(name.to_owned(), Value::Null);
        let schema = T::schema(definitions);
        definitions.insert(name.to_owned(), schema);
    }
    json!({ "$ref": format!("#/$defs/{name}") })
}

enum Mode<'r> {
    Read { object: &'r Map<String, Value>, place: Place<'r> },
    Write { object: Map<String, Value> },
    Schema { properties: Map<String, Value>, required: Vec<Value>, definitions: Map<String, Value> },
}

/// A choice between fields, of which exactly one (or at most one) may be there.
struct Choice {
    names: Vec<&'static str>,
    taken: usize,
    required: bool,
}

/// A record that is being read, written or described.
pub(super) struct Record<'r> {
    mode: Mode<'r>,
    known: Vec<&'static str>,
    choice: Option<Choice>,
    choices: Vec<Choice>,
}

impl<'r> Record<'r> {
    fn new(mode: Mode<'r>) -> Self {
        Self { mode, known: Vec::new(), choice: None, choices: Vec::new() }
    }

    pub(super) fn reading(object: &'r Map<String, Value>, place: Place<'r>) -> Self {
        Self::new(Mode::Read { object, place })
    }

    pub(super) fn writing() -> Self {
        Self::new(Mode::Write { object: Map::new() })
    }

    pub(super) fn describing() -> Self {
        Self::describing_with(Map::new())
    }

    pub(super) fn describing_with(definitions: Map<String, Value>) -> Self {
        Self::new(Mode::Schema { properties: Map::new(), required: Vec::new(), definitions })
    }

    /// Notes a problem with a field.
    pub(super) fn wrong(&mut self, field: &str, message: &str) {
        if let Mode::Read { place, .. } = &mut self.mode {
            place.within(field).wrong(message);
        }
    }

    /// A field that must be there.
    pub(super) fn must<T: Form>(&mut self, name: &'static str, this: Option<&T>) -> Option<T> {
        let found = self.field(name, this);
        match &mut self.mode {
            Mode::Schema { required, .. } => required.push(json!(name)),
            Mode::Read { object, place } if !object.contains_key(name) => {
                place.within(name).wrong("is required and missing");
            }
            Mode::Read { .. } | Mode::Write { .. } => {}
        }
        found
    }

    /// A field that may be missing.
    pub(super) fn may<T: Form>(
        &mut self,
        name: &'static str,
        this: Option<&Option<T>>,
    ) -> Option<Option<T>> {
        let found = self.field(name, this.and_then(Option::as_ref));
        self.is_absent(name).then_some(None).or(found.map(Some))
    }

    /// A field that has another value when it is missing, and is left out when it has that one.
    pub(super) fn or<T: Form + PartialEq + Clone>(
        &mut self,
        name: &'static str,
        this: Option<&T>,
        other: &T,
    ) -> Option<T> {
        let found = self.field(name, this.filter(|this| *this != other));
        if self.is_absent(name) { Some(other.clone()) } else { found }
    }

    /// A field whose presence says which of several things the record is, see [`Record::choose`].
    pub(super) fn pick<T: Form>(&mut self, name: &'static str, this: Option<&T>) -> Option<T> {
        self.picked(name, this.is_some());
        self.field(name, this)
    }

    /// As [`Record::pick`], for something that says no more than that it is meant.
    pub(super) fn pick_unit(&mut self, name: &'static str, this: bool) -> Option<()> {
        self.pick(name, this.then_some(&true)).filter(|meant| *meant).map(drop)
    }

    /// As [`Record::pick`], for a record in the record. Where `main` is given, a value that is no object stands for a record
    /// with that field alone; nothing (`null`) for one without fields.
    pub(super) fn pick_record<T>(
        &mut self,
        name: &'static str,
        main: Option<&'static str>,
        this: bool,
        describe: impl FnOnce(&mut Record<'_>) -> Option<T>,
    ) -> Option<T> {
        self.picked(name, this);
        self.known.push(name);
        match &mut self.mode {
            Mode::Read { object, place } => {
                let value = object.get(name)?;
                let mut place = place.within(name);
                let (short, object) = match (value, main) {
                    (Value::Object(object), _) => (false, object.clone()),
                    (Value::Null, _) => (true, Map::new()),
                    (value, Some(main)) => {
                        (true, Map::from_iter([(main.to_owned(), value.clone())]))
                    }
                    (value, None) => return place.expected("an object", value),
                };
                // What stands for the main field is wrong at the record's own place.
                let nested = Place {
                    path: place.path.clone(),
                    step: place.step.clone(),
                    errors: place.errors,
                };
                let mut record = Record::reading(&object, nested);
                let read = describe(&mut record);
                if !short {
                    record.finish();
                }
                read
            }
            Mode::Write { object } => {
                if !this {
                    return None;
                }
                let mut record = Record::writing();
                describe(&mut record);
                let Value::Object(mut fields) = record.written() else { return None };
                let short = main.filter(|main| {
                    fields.len() == 1
                        && fields
                            .get(*main)
                            .is_some_and(|value| !value.is_object() && !value.is_null())
                });
                let value = match short.and_then(|main| fields.remove(main)) {
                    Some(value) => value,
                    None => Value::Object(fields),
                };
                object.insert(name.to_owned(), value);
                None
            }
            Mode::Schema { properties, definitions, .. } => {
                let mut record = Record::describing_with(std::mem::take(definitions));
                describe(&mut record);
                let (schema, all) = record.described();
                *definitions = all;
                let mut forms = vec![schema.clone()];
                if let Some(short) = main.and_then(|main| schema["properties"].get(main)) {
                    forms.push(json!({ "allOf": [{ "not": { "type": "object" } }, short] }));
                }
                if schema["required"].as_array().is_none_or(Vec::is_empty)
                    && schema.get("allOf").is_none()
                {
                    forms.push(json!({ "type": "null" }));
                }
                let schema =
                    if forms.len() == 1 { forms.remove(0) } else { json!({ "anyOf": forms }) };
                properties.insert(name.to_owned(), schema);
                None
            }
        }
    }

    /// Makes a choice of the fields that `describe` picks.
    pub(super) fn choose<T>(
        &mut self,
        required: bool,
        describe: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<T> {
        self.choice = Some(Choice { names: Vec::new(), taken: 0, required });
        let chosen = describe(self);
        let Some(choice) = self.choice.take() else { return chosen };
        let (taken, names) = (choice.taken, choice.names.join(", "));
        if let Mode::Read { place, .. } = &mut self.mode {
            if taken == 0 && required {
                place.wrong(format!("must have one of {names}"));
            } else if taken > 1 {
                place.wrong(format!("must have only one of {names}"));
            }
        }
        self.choices.push(choice);
        (taken <= 1).then_some(chosen).flatten()
    }

    /// Counts a field of the present choice.
    fn picked(&mut self, name: &'static str, this: bool) {
        let present = match &self.mode {
            Mode::Read { object, .. } => object.contains_key(name),
            Mode::Write { .. } | Mode::Schema { .. } => this,
        };
        if let Some(choice) = &mut self.choice {
            choice.names.push(name);
            choice.taken += usize::from(present);
        }
    }

    fn is_absent(&self, name: &str) -> bool {
        matches!(&self.mode, Mode::Read { object, .. } if !object.contains_key(name))
    }

    fn field<T: Form>(&mut self, name: &'static str, this: Option<&T>) -> Option<T> {
        self.known.push(name);
        match &mut self.mode {
            Mode::Read { object, place } => {
                object.get(name).and_then(|value| T::read(value, &mut place.within(name)))
            }
            Mode::Write { object } => {
                if let Some(this) = this {
                    object.insert(name.to_owned(), this.write());
                }
                None
            }
            Mode::Schema { properties, definitions, .. } => {
                properties.insert(name.to_owned(), schema_of::<T>(definitions));
                None
            }
        }
    }

    /// Notes fields that are not known; to be called after all fields were named.
    pub(super) fn finish(&mut self) {
        let Mode::Read { object, place } = &mut self.mode else { return };
        for name in object.keys().filter(|name| !self.known.contains(&name.as_str())) {
            let hint = nearest(name, self.known.iter().copied());
            let shown: String = name.chars().take(40).collect();
            place.within(&shown).wrong(format!("unknown field{hint}"));
        }
    }

    pub(super) fn written(self) -> Value {
        match self.mode {
            Mode::Write { object } => Value::Object(object),
            Mode::Read { .. } | Mode::Schema { .. } => Value::Null,
        }
    }

    /// Returns the schema, and the definitions it refers to.
    pub(super) fn described(self) -> (Value, Map<String, Value>) {
        let Mode::Schema { properties, required, definitions } = self.mode else {
            return (Value::Null, Map::new());
        };
        let mut schema =
            json!({ "type": "object", "properties": properties, "additionalProperties": false });
        if !required.is_empty() {
            schema["required"] = Value::Array(required);
        }
        let choices: Vec<Value> = self.choices.iter().map(Choice::schema).collect();
        if !choices.is_empty() {
            schema["allOf"] = Value::Array(choices);
        }
        (schema, definitions)
    }
}

impl Choice {
    fn schema(&self) -> Value {
        let mut one: Vec<Value> =
            self.names.iter().map(|name| json!({ "required": [name] })).collect();
        if !self.required {
            let any = Value::Array(one.clone());
            one.push(json!({ "not": { "anyOf": any } }));
        }
        json!({ "oneOf": one })
    }
}
