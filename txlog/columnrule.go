package txlog

import (
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
)

// Keys of a field's metadata that say what its values must be, or what they are where none is given.
const (
	invariantsKey     = "delta.invariants"
	generationKey     = "delta.generationExpression"
	defaultKey        = "CURRENT_DEFAULT"
	identityStartKey  = "delta.identity.start"
	identityStepKey   = "delta.identity.step"
	identityMarkKey   = "delta.identity.highWaterMark"
	identityInsertKey = "delta.identity.allowExplicitInsert"
)

// Identity is how a column numbers the rows that are written.
//
// Protocol: "Identity Columns". A new value is Start + k × Step and lies beyond HighWaterMark.
type Identity struct {
	Start, Step         int64
	HighWaterMark       *int64 // the last value that was given out; nil: none yet
	AllowExplicitInsert bool   // rows may bring values of their own
}

// Invariant is the condition, in Spark's SQL, that each row must satisfy; "" for none.
//
// Protocol: "Column Invariants". Errors: a mark that is not of their form.
func (f Field) Invariant() (string, error) {
	text, err := f.text(invariantsKey)
	if err != nil || text == "" {
		return "", err
	}
	var invariant struct {
		Expression struct {
			Expression string `json:"expression"`
		} `json:"expression"`
	}
	if err := json.Unmarshal([]byte(text), &invariant); err != nil || invariant.Expression.Expression == "" {
		return "", fmt.Errorf("column %q: %s is no expression: %s", f.Name, invariantsKey, clip(text))
	}
	return invariant.Expression.Expression, nil
}

// Generation is the expression, in Spark's SQL, that gives the column its values; "" for none.
//
// Protocol: "Generated Columns". Errors: a mark that is no text.
func (f Field) Generation() (string, error) { return f.text(generationKey) }

// Default is the expression, in Spark's SQL, of the value for rows that are written without one; "" for none.
//
// Protocol: "Default Columns". Errors: a mark that is no text.
func (f Field) Default() (string, error) { return f.text(defaultKey) }

// Identity is how the column numbers rows; nil when it does not.
//
// Errors: a mark that is no whole number of 64 bits, and a step of 0.
func (f Field) Identity() (*Identity, error) {
	_, start := featureOfMark(f, identityStartKey)
	_, step := featureOfMark(f, identityStepKey)
	if !start && !step {
		return nil, nil
	}
	id := &Identity{}
	for key, to := range map[string]any{
		identityStartKey: &id.Start, identityStepKey: &id.Step, identityMarkKey: &id.HighWaterMark, identityInsertKey: &id.AllowExplicitInsert,
	} {
		raw := f.Metadata[key]
		if len(raw) == 0 && (key == identityMarkKey || key == identityInsertKey) {
			continue
		}
		if err := json.Unmarshal(raw, to); err != nil || string(raw) == "null" && key != identityMarkKey {
			return nil, fmt.Errorf("column %q: %s is %s", f.Name, key, clip(string(raw)))
		}
	}
	if id.Step == 0 {
		return nil, fmt.Errorf("column %q: %s is 0", f.Name, identityStepKey)
	}
	return id, nil
}

// WithInvariant is the field with a condition that each row must satisfy; "" takes it away.
func (f Field) WithInvariant(expression string) Field {
	if expression != "" {
		expression = `{"expression":{"expression":` + quoteJSON(expression) + `}}`
	}
	return f.withText(invariantsKey, expression)
}

// WithGeneration is the field with an expression that gives it its values; "" takes it away.
func (f Field) WithGeneration(expression string) Field { return f.withText(generationKey, expression) }

// WithDefault is the field with an expression for rows that are written without a value; "" takes it away.
func (f Field) WithDefault(expression string) Field { return f.withText(defaultKey, expression) }

// WithIdentity is the field with numbers for rows; nil takes them away.
func (f Field) WithIdentity(id *Identity) Field {
	f.Metadata = maps.Clone(f.Metadata)
	for _, key := range []string{identityStartKey, identityStepKey, identityMarkKey, identityInsertKey} {
		delete(f.Metadata, key)
	}
	if id == nil {
		return f
	}
	if f.Metadata == nil {
		f.Metadata = map[string]json.RawMessage{}
	}
	f.Metadata[identityStartKey] = json.RawMessage(strconv.FormatInt(id.Start, 10))
	f.Metadata[identityStepKey] = json.RawMessage(strconv.FormatInt(id.Step, 10))
	f.Metadata[identityInsertKey] = json.RawMessage(strconv.FormatBool(id.AllowExplicitInsert))
	if id.HighWaterMark != nil {
		f.Metadata[identityMarkKey] = json.RawMessage(strconv.FormatInt(*id.HighWaterMark, 10))
	}
	return f
}

// text is a mark that is a text; "" where there is none.
func (f Field) text(key string) (string, error) {
	raw := f.Metadata[key]
	if len(raw) == 0 || string(raw) == "null" {
		return "", nil
	}
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return "", fmt.Errorf("column %q: %s is no text: %s", f.Name, key, clip(string(raw)))
	}
	return text, nil
}

func (f Field) withText(key, text string) Field {
	f.Metadata = maps.Clone(f.Metadata)
	if text == "" {
		delete(f.Metadata, key)
		return f
	}
	if f.Metadata == nil {
		f.Metadata = map[string]json.RawMessage{}
	}
	f.Metadata[key] = json.RawMessage(quoteJSON(text))
	return f
}
