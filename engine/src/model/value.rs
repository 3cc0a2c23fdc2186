//! What a property can hold.

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::Text;

/// A JSON value as an application gives it: short strings, numbers and flags cost no allocation.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Value {
    /// JSON `null`.
    #[default]
    Null,
    /// JSON `true` or `false`.
    Bool(bool),
    /// An integer that fits 64 bits with a sign.
    Int(i64),
    /// An integer that needs all 64 bits.
    Uint(u64),
    /// A number with a fraction; what is not finite becomes `null`, since JSON cannot express it.
    Float(f64),
    /// A string.
    Text(Text),
    /// An array or an object.
    Json(JsonText),
}

/// The JSON text of an array or object, written once when the value is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonText(Box<str>);

impl JsonText {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn of(value: &impl Serialize) -> Value {
        serde_json::to_string(value).map_or(Value::Null, |text| Value::Json(Self(text.into())))
    }
}

impl Value {
    /// Turns anything that serialises into a value; what cannot be serialised becomes `null`.
    pub fn of(value: impl Serialize) -> Self {
        serde_json::to_value(value).map_or(Self::Null, Self::from)
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(flag) => serializer.serialize_bool(*flag),
            Self::Int(number) => serializer.serialize_i64(*number),
            Self::Uint(number) => serializer.serialize_u64(*number),
            Self::Float(number) => serializer.serialize_f64(*number),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Json(JsonText(text)) => match serde_json::from_str::<&RawValue>(text) {
                Ok(raw) => raw.serialize(serializer),
                Err(_) => serializer.serialize_unit(),
            },
        }
    }
}

impl From<serde_json::Value> for Value {
    fn from(json: serde_json::Value) -> Self {
        match json {
            serde_json::Value::Null => Self::Null,
            serde_json::Value::Bool(flag) => Self::Bool(flag),
            serde_json::Value::Number(number) => from_number(&number),
            serde_json::Value::String(text) => Self::Text(text.into()),
            json @ (serde_json::Value::Array(_) | serde_json::Value::Object(_)) => JsonText::of(&json),
        }
    }
}

fn from_number(number: &serde_json::Number) -> Value {
    number
        .as_i64()
        .map(Value::Int)
        .or_else(|| number.as_u64().map(Value::Uint))
        .or_else(|| number.as_f64().map(Value::from))
        .unwrap_or_default()
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        if number.is_finite() { Self::Float(number) } else { Self::Null }
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        i64::try_from(number).map_or(Self::Uint(number), Self::Int)
    }
}

impl From<usize> for Value {
    fn from(number: usize) -> Self {
        Self::from(number as u64)
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Bool(flag)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<&String> for Value {
    fn from(text: &String) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl From<Text> for Value {
    fn from(text: Text) -> Self {
        Self::Text(text)
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl<T: Serialize> From<Vec<T>> for Value {
    fn from(list: Vec<T>) -> Self {
        JsonText::of(&list)
    }
}

impl<T: Serialize> From<&[T]> for Value {
    fn from(list: &[T]) -> Self {
        JsonText::of(&list)
    }
}

impl<T: Serialize, const N: usize> From<[T; N]> for Value {
    fn from(list: [T; N]) -> Self {
        JsonText::of(&list.as_slice())
    }
}

macro_rules! from_small_int {
    ($($int:ty),*) => {$(
        impl From<$int> for Value {
            fn from(number: $int) -> Self {
                Self::Int(i64::from(number))
            }
        }
    )*};
}
from_small_int!(i8, i16, i32, i64, u8, u16, u32);
