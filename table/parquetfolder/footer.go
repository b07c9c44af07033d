package parquetfolder

import (
	"context"
	"errors"
	"fmt"
	"math/big"

	"github.com/lakectl/lakectl/internal/limits"
	"github.com/lakectl/lakectl/internal/parquetio"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/txlog"
)

// julian are the marks of files whose old dates and times follow another calendar than those of Delta tables.
var julian = []string{"org.apache.spark.legacyDateTime", "org.apache.spark.legacyINT96"} //nolint:gochecknoglobals // a constant in all but syntax

// footer reads what the footer of the file says.
func (file *File) footer(ctx context.Context, store objectstore.Store, bound limits.Limits) error {
	r := objectstore.ReaderAt(ctx, store, file.Key, file.Size)
	footer, err := parquetio.ReadFooter(r, file.Size, bound)
	var open *parquetio.File
	if err == nil {
		open, err = parquetio.Open(r, file.Size, bound)
	}
	if errors.Is(err, parquetio.ErrMalformed) {
		return fmt.Errorf("%w: %w", ErrFolder, err)
	}
	if err != nil {
		return err
	}
	for _, key := range julian {
		if _, marked := open.Metadata(key); marked {
			return fmt.Errorf("%w: dates and times of the Julian calendar (%s): write the file again", ErrFolder, key)
		}
	}
	for _, n := range footer.Nodes {
		if n.Variant {
			return fmt.Errorf("%w: column %s is a variant: make a table and append the file to it", ErrFolder, n.Name)
		}
	}
	file.Rows = open.Rows()
	for _, c := range open.Schema().Fields {
		t, err := typeOf(c)
		if err != nil {
			return err
		}
		file.columns = append(file.columns, txlog.Field{Name: c.Name, Type: t, Nullable: true})
		file.bounds(open, c, t, nil)
	}
	return nil
}

// bounds notes what the footer says of the leaves of a column.
func (file *File) bounds(open *parquetio.File, c *parquetio.Column, t *txlog.DataType, above []string) {
	path := append(append([]string{}, above...), c.Name)
	if t.Kind == txlog.KindStruct {
		for i, inner := range c.Fields {
			file.bounds(open, inner, t.Fields[i].Type, path)
		}
		return
	}
	low, high, ok := open.Bounds(c)
	if !ok {
		return
	}
	leaf := txlog.LeafStats{Path: path, Type: t, Min: literal(t, low), Max: literal(t, high)}
	if leaf.Min != nil || leaf.Max != nil {
		file.Leaves = append(file.Leaves, leaf)
	}
}

func literal(t *txlog.DataType, v any) *txlog.Literal {
	switch v := v.(type) {
	case string:
		return &txlog.Literal{Kind: txlog.KindString, String: v}
	case *big.Int:
		return &txlog.Literal{Kind: txlog.KindDecimal, Rat: txlog.Decimal{Unscaled: v, Scale: t.Scale}.Rat()}
	case int64:
		if t.Kind == txlog.KindDate || t.Kind == txlog.KindTimestamp || t.Kind == txlog.KindTimestampNTZ {
			return &txlog.Literal{Kind: t.Kind, Int: v}
		}
		return &txlog.Literal{Kind: txlog.KindLong, Int: v}
	}
	return nil
}

// typeOf is the type of a column in a table.
func typeOf(c *parquetio.Column) (*txlog.DataType, error) {
	simple := map[parquetio.Kind]string{
		parquetio.KindBoolean: "boolean", parquetio.KindByte: "tinyint", parquetio.KindShort: "smallint", parquetio.KindInteger: "int",
		parquetio.KindLong: "bigint", parquetio.KindFloat: "float", parquetio.KindDouble: "double", parquetio.KindString: "string",
		parquetio.KindBinary: "binary", parquetio.KindDate: "date", parquetio.KindTimestamp: "timestamp", parquetio.KindTimestampNTZ: "timestamp_ntz",
	}
	switch {
	case c.Nanoseconds():
		return nil, fmt.Errorf("%w: column %s has nanoseconds, tables have microseconds: write the file again", ErrFolder, c.Name)
	case c.Kind == parquetio.KindDecimal:
		return txlog.ParseType(fmt.Sprintf("decimal(%d,%d)", c.Precision, c.Scale))
	case c.Kind == parquetio.KindStruct:
		t := &txlog.DataType{Kind: txlog.KindStruct, Name: "struct"}
		for _, f := range c.Fields {
			inner, err := typeOf(f)
			if err != nil {
				return nil, err
			}
			t.Fields = append(t.Fields, txlog.Field{Name: f.Name, Type: inner, Nullable: true})
		}
		return t, nil
	case c.Kind == parquetio.KindList:
		element, err := typeOf(c.Element)
		return &txlog.DataType{Kind: txlog.KindArray, Name: "array", Element: element, ContainsNull: true}, err
	case c.Kind == parquetio.KindMap:
		key, err := typeOf(c.Key)
		if err != nil {
			return nil, err
		}
		value, err := typeOf(c.Value)
		return &txlog.DataType{Kind: txlog.KindMap, Name: "map", Key: key, Value: value, ValueContainsNull: true}, err
	}
	name, known := simple[c.Kind]
	if !known {
		return nil, fmt.Errorf("%w: column %s has a type that tables have not", ErrFolder, c.Name)
	}
	return txlog.ParseType(name)
}
