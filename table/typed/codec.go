package typed

import (
	"fmt"
	"math"
	"math/big"
	"reflect"
	"time"
	"unicode/utf8"

	"github.com/lakectl/lakectl/internal/parquetio"
	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

// mode says whether values are read or written.
type mode bool

const (
	reading mode = false
	writing mode = true
)

// codec turns Go values of one type into those of a column, in the forms of parquetio.Kind, and back.
type codec struct {
	name     string
	kind     txlog.Kind
	required bool
	pointer  bool
	set      func(to reflect.Value, v any) error // v is not nil
	get      func(from reflect.Value) (any, error)
}

// decode stores a value; nil is NULL.
func (c *codec) decode(to reflect.Value, v any) error {
	switch {
	case v != nil && c.pointer:
		p := reflect.New(to.Type().Elem())
		to.Set(p)
		return c.set(p.Elem(), v)
	case v != nil:
		return c.set(to, v)
	case c.pointer || to.Kind() == reflect.Slice || to.Kind() == reflect.Map:
		to.SetZero()
		return nil
	}
	return fmt.Errorf("%w: column %s is NULL, which %s cannot be: use a pointer", table.ErrValue, c.name, to.Type())
}

// encode reads a value; nil is NULL.
func (c *codec) encode(from reflect.Value) (any, error) {
	nilable := from.Kind() == reflect.Pointer || from.Kind() == reflect.Slice || from.Kind() == reflect.Map
	if nilable && from.IsNil() {
		if c.required {
			return nil, &table.ConstraintError{Kind: "not null", Column: c.name}
		}
		return nil, nil
	}
	if c.pointer {
		from = from.Elem()
	}
	return c.get(from)
}

// codecOf pairs a Go type with the type of a column.
//
// Errors: table.ErrSchemaMismatch.
func codecOf(t reflect.Type, d *txlog.DataType, name string, m mode) (*codec, error) {
	c := &codec{name: name, kind: d.Kind}
	if t.Kind() == reflect.Pointer {
		c.pointer, t = true, t.Elem()
	}
	var err error
	switch {
	case d.Kind == txlog.KindStruct && t.Kind() == reflect.Struct:
		err = c.structs(t, d, m)
	case d.Kind == txlog.KindArray && t.Kind() == reflect.Slice:
		err = c.lists(t, d, m)
	case d.Kind == txlog.KindMap && t.Kind() == reflect.Map:
		err = c.maps(t, d, m)
	default:
		if !c.scalars(t, d, m) {
			err = fmt.Errorf("%w: column %s is %s, which %s does not hold", table.ErrSchemaMismatch, name, d.SQL(), t)
		}
	}
	return c, err
}

// Bytes of the whole numbers.
func width(k txlog.Kind) int {
	switch k {
	case txlog.KindByte:
		return 1
	case txlog.KindShort:
		return 2
	case txlog.KindInteger:
		return 4
	case txlog.KindLong:
		return 8
	}
	return 0
}

// scalars tells whether the types go together.
func (c *codec) scalars(t reflect.Type, d *txlog.DataType, m mode) bool {
	switch t {
	case reflect.TypeFor[time.Time]():
		return c.times(d)
	case reflect.TypeFor[txlog.Date]():
		c.get = func(v reflect.Value) (any, error) { return v.Int(), nil }
		c.set = func(to reflect.Value, v any) error { return take(c, v, to.SetInt) }
		return d.Kind == txlog.KindDate
	case reflect.TypeFor[txlog.Decimal]():
		return c.decimals(d)
	case reflect.TypeFor[[]byte]():
		c.get = func(v reflect.Value) (any, error) { return v.Bytes(), nil }
		c.set = func(to reflect.Value, v any) error { return take(c, v, to.SetBytes) }
		return d.Kind == txlog.KindBinary
	}
	switch t.Kind() {
	case reflect.Bool:
		c.get = func(v reflect.Value) (any, error) { return v.Bool(), nil }
		c.set = func(to reflect.Value, v any) error { return take(c, v, to.SetBool) }
		return d.Kind == txlog.KindBoolean
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		w := width(d.Kind)
		c.get = func(v reflect.Value) (any, error) { return c.whole(v.Int(), w) }
		c.set = func(to reflect.Value, v any) error { return take(c, v, to.SetInt) }
		return w > 0 && (m == writing || int(t.Size()) >= w)
	case reflect.Float32, reflect.Float64:
		c.get = func(v reflect.Value) (any, error) { return v.Float(), nil }
		c.set = func(to reflect.Value, v any) error { return take(c, v, to.SetFloat) }
		return d.Kind == txlog.KindDouble && (m == writing || t.Kind() == reflect.Float64) || d.Kind == txlog.KindFloat && (m == reading || t.Kind() == reflect.Float32)
	case reflect.String:
		c.get = func(v reflect.Value) (any, error) {
			if !utf8.ValidString(v.String()) {
				return nil, fmt.Errorf("%w: column %s: a text that is not UTF-8", table.ErrValue, c.name)
			}
			return v.String(), nil
		}
		c.set = func(to reflect.Value, v any) error { return take(c, v, to.SetString) }
		return d.Kind == txlog.KindString
	default:
		return false
	}
}

// take stores a value of the form that the column's kind has.
func take[V any](c *codec, v any, set func(V)) error {
	x, ok := v.(V)
	if !ok {
		return fmt.Errorf("%w: column %s holds %T", table.ErrDataFile, c.name, v)
	}
	set(x)
	return nil
}

// whole checks that a number fits in so many bytes.
func (c *codec) whole(n int64, bytes int) (any, error) {
	if shift := 64 - 8*bytes; n<<shift>>shift != n {
		return nil, fmt.Errorf("%w: column %s: %d", table.ErrValue, c.name, n)
	}
	return n, nil
}

const microsPerDay = 24 * 60 * 60 * 1_000_000

func (c *codec) times(d *txlog.DataType) bool {
	switch d.Kind {
	case txlog.KindTimestamp:
		c.get = func(v reflect.Value) (any, error) { return c.micros(v.Interface().(time.Time).UTC()) } //nolint:forcetypeassert // its type is time.Time
	case txlog.KindTimestampNTZ:
		c.get = func(v reflect.Value) (any, error) { return c.micros(wall(v)) }
	case txlog.KindDate:
		c.get = func(v reflect.Value) (any, error) {
			n := wall(v).Unix()
			days := n / (microsPerDay / 1_000_000)
			if n%(microsPerDay/1_000_000) < 0 {
				days--
			}
			if days < math.MinInt32 || days > math.MaxInt32 {
				return nil, fmt.Errorf("%w: column %s: day %d after 1970", table.ErrValue, c.name, days)
			}
			return days, nil
		}
		c.set = func(to reflect.Value, v any) error {
			return take(c, v, func(days int64) { to.Set(reflect.ValueOf(time.Unix(days*(microsPerDay/1_000_000), 0).UTC())) })
		}
		return true
	default:
		return false
	}
	c.set = func(to reflect.Value, v any) error {
		return take(c, v, func(n int64) { to.Set(reflect.ValueOf(time.UnixMicro(n).UTC())) })
	}
	return true
}

// wall is what the clock on the wall shows, taken as UTC.
func wall(v reflect.Value) time.Time {
	t := v.Interface().(time.Time) //nolint:forcetypeassert // its type is time.Time
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC)
}

// micros cuts a time down to microseconds.
func (c *codec) micros(t time.Time) (any, error) {
	if s := t.Unix(); s >= math.MaxInt64/1_000_000 || s <= math.MinInt64/1_000_000 {
		return nil, fmt.Errorf("%w: column %s: %s", table.ErrValue, c.name, t)
	}
	return t.UnixMicro(), nil
}

func (c *codec) decimals(d *txlog.DataType) bool {
	c.get = func(v reflect.Value) (any, error) {
		x := v.Interface().(txlog.Decimal) //nolint:forcetypeassert // its type is txlog.Decimal
		n, exact := rescaled(x, d.Scale)
		if !exact || n.CmpAbs(tenTo(d.Precision)) >= 0 {
			return nil, fmt.Errorf("%w: column %s: %s is no %s", table.ErrValue, c.name, x, d.SQL())
		}
		return n, nil
	}
	c.set = func(to reflect.Value, v any) error {
		return take(c, v, func(n *big.Int) { to.Set(reflect.ValueOf(txlog.Decimal{Unscaled: n, Scale: d.Scale})) })
	}
	return d.Kind == txlog.KindDecimal
}

// rescaled is the decimal as a whole number of units of the scale; false where digits would be lost.
func rescaled(x txlog.Decimal, scale int) (*big.Int, bool) {
	n := new(big.Int)
	if x.Unscaled != nil {
		n.Set(x.Unscaled)
	}
	if x.Scale <= scale {
		return n.Mul(n, tenTo(scale-x.Scale)), true
	}
	_, rest := n.QuoRem(n, tenTo(x.Scale-scale), new(big.Int))
	return n, rest.Sign() == 0
}

// unscaled is a decimal literal as a whole number of units of the scale; false where digits would be lost.
func unscaled(l txlog.Literal, scale int) (*big.Int, bool) {
	r := new(big.Rat).Mul(l.Rat, new(big.Rat).SetInt(tenTo(scale)))
	return r.Num(), r.IsInt()
}

func tenTo(n int) *big.Int { return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil) }

// structs reads and writes structs; fields that the Go type lacks are NULL when written, left out when read.
func (c *codec) structs(t reflect.Type, d *txlog.DataType, m mode) error {
	members, err := bind(t, d.Fields, c.name+".", m)
	if err != nil {
		return err
	}
	if m == writing {
		if err := allRequired(members, d.Fields, c.name+"."); err != nil {
			return err
		}
	}
	c.get = func(v reflect.Value) (any, error) { return encodeMembers(v, members, len(d.Fields)) }
	c.set = func(to reflect.Value, v any) error {
		values, ok := v.([]any)
		if !ok || len(values) != len(d.Fields) {
			return fmt.Errorf("%w: column %s holds %T", table.ErrDataFile, c.name, v)
		}
		for _, f := range members {
			if err := f.codec.decode(to.FieldByIndex(f.index), values[f.at]); err != nil {
				return err
			}
		}
		return nil
	}
	return nil
}

// encodeMembers is one value for each of n fields.
func encodeMembers(v reflect.Value, members []member, n int) ([]any, error) {
	out := make([]any, n)
	for _, f := range members {
		var err error
		if out[f.at], err = f.codec.encode(v.FieldByIndex(f.index)); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// allRequired checks that no field that must have a value is without a member.
func allRequired(members []member, fields []txlog.Field, within string) error {
	bound := map[int]bool{}
	for _, f := range members {
		bound[f.at] = true
	}
	for i, f := range fields {
		if !f.Nullable && !bound[i] {
			return &table.ConstraintError{Kind: "not null", Column: within + f.Name}
		}
	}
	return nil
}

func (c *codec) lists(t reflect.Type, d *txlog.DataType, m mode) error {
	element, err := codecOf(t.Elem(), d.Element, c.name+".element", m)
	if err != nil {
		return err
	}
	element.required = !d.ContainsNull
	c.get = func(v reflect.Value) (any, error) {
		out := make([]any, v.Len())
		for i := range out {
			var err error
			if out[i], err = element.encode(v.Index(i)); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	c.set = func(to reflect.Value, v any) error {
		list, ok := v.([]any)
		if !ok {
			return fmt.Errorf("%w: column %s holds %T", table.ErrDataFile, c.name, v)
		}
		to.Set(reflect.MakeSlice(to.Type(), len(list), len(list)))
		for i, x := range list {
			if err := element.decode(to.Index(i), x); err != nil {
				return err
			}
		}
		return nil
	}
	return nil
}

func (c *codec) maps(t reflect.Type, d *txlog.DataType, m mode) error {
	key, err := codecOf(t.Key(), d.Key, c.name+".key", m)
	if err != nil {
		return err
	}
	value, err := codecOf(t.Elem(), d.Value, c.name+".value", m)
	if err != nil {
		return err
	}
	key.required, value.required = true, !d.ValueContainsNull
	c.get = func(v reflect.Value) (any, error) {
		out := make([]parquetio.Entry, 0, v.Len())
		for entries := v.MapRange(); entries.Next(); {
			k, err := key.encode(entries.Key())
			if err != nil {
				return nil, err
			}
			x, err := value.encode(entries.Value())
			if err != nil {
				return nil, err
			}
			out = append(out, parquetio.Entry{Key: k, Value: x})
		}
		return out, nil
	}
	c.set = func(to reflect.Value, v any) error {
		entries, ok := v.([]parquetio.Entry)
		if !ok {
			return fmt.Errorf("%w: column %s holds %T", table.ErrDataFile, c.name, v)
		}
		to.Set(reflect.MakeMapWithSize(to.Type(), len(entries)))
		for _, e := range entries {
			k, x := reflect.New(t.Key()).Elem(), reflect.New(t.Elem()).Elem()
			if err := key.decode(k, e.Key); err != nil {
				return err
			}
			if err := value.decode(x, e.Value); err != nil {
				return err
			}
			to.SetMapIndex(k, x)
		}
		return nil
	}
	return nil
}
