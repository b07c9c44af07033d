package enginetest

import (
	"bytes"
	"encoding/binary"

	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/table"
)

// legacyTimestamps reads INT96, which old Sparks write: instants, without any mark that says so. They must not move
// with the zone of the session.
func (s *suite) legacyTimestamps() {
	w := table.Write{Schema: s.columns("ts timestamp")}
	files := s.write("SELECT TIMESTAMPTZ '2024-07-01 00:00:00+00' ts", w)
	rel := relation(w, files...)
	body := int96File("ts", 2460493, 3600e9) // the same day by its Julian number, one hour after midnight
	info, err := s.remote.Put(s.Context(), "t/int96.parquet", objectstore.Bytes(body), objectstore.CreateOnly)
	if err != nil {
		s.Fatal(err)
	}
	rel.Files = append(rel.Files, table.RelationFile{Store: s.remote, Key: info.Key, Size: info.Size, ETag: info.ETag})
	for _, zone := range []string{"", "Asia/Kolkata", "America/New_York"} {
		q := table.Query{SQL: "SELECT ts FROM t ORDER BY ts", Relations: relations{"t": rel}, TimeZone: zone}
		got, err := s.tryQuery(q)
		if err != nil || len(got) != 2 || got[0] != "2024-07-01T00:00:00.000000Z" || got[1] != "2024-07-01T01:00:00.000000Z" {
			s.Errorf("zone %q: %v, %v", zone, got, err)
		}
		q.SQL = "SELECT ts FROM t WHERE ts > TIMESTAMPTZ '2024-07-01 00:30:00+00'"
		if got, err = s.tryQuery(q); err != nil || len(got) != 1 {
			s.Errorf("zone %q, with a condition: %v, %v", zone, got, err)
		}
	}
}

// int96File is a Parquet file of one row and one required INT96 column: one page, not compressed.
func int96File(name string, julianDay uint32, nanos uint64) []byte {
	value := binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint64(nil, nanos), julianDay)
	size := int64(len(value))
	page := thrift(
		thriftInt(0), thriftInt(size), thriftInt(size), nil, // a data page
		thriftStruct(thrift(thriftInt(1), thriftInt(0), thriftInt(3), thriftInt(3))), // one value, plain; levels RLE
	)
	const magic = "PAR1"
	chunk := int64(len(page)) + size
	column := thrift(thriftInt(3), thriftList(5, varint(0)), thriftList(8, thriftText(name)), thriftInt(0), // INT96, plain
		thriftLong(1), thriftLong(chunk), thriftLong(chunk), nil, thriftLong(int64(len(magic))))
	footer := thrift(
		thriftInt(1),
		thriftList(12, thrift(nil, nil, nil, thriftBinary("root"), thriftInt(1)), thrift(thriftInt(3), nil, thriftInt(0), thriftBinary(name))),
		thriftLong(1),
		thriftList(12, thrift(thriftList(12, thrift(nil, thriftLong(int64(len(magic))), thriftStruct(column))), thriftLong(chunk), thriftLong(1))),
	)
	return bytes.Join([][]byte{
		[]byte(magic), page, value, footer, binary.LittleEndian.AppendUint32(nil, uint32(len(footer))), []byte(magic),
	}, nil)
}

// The compact protocol of Thrift, as far as the footer above needs it. A field is its type and its bytes; nil is absent.
func thriftInt(v int64) []byte     { return append([]byte{5}, varint(v)...) }
func thriftLong(v int64) []byte    { return append([]byte{6}, varint(v)...) }
func thriftText(s string) []byte   { return append(binary.AppendUvarint(nil, uint64(len(s))), s...) }
func thriftBinary(s string) []byte { return append([]byte{8}, thriftText(s)...) }
func thriftStruct(b []byte) []byte { return append([]byte{12}, b...) }
func varint(v int64) []byte        { return binary.AppendVarint(nil, v) }

func thriftList(kind byte, items ...[]byte) []byte {
	return append([]byte{9, byte(len(items))<<4 | kind}, bytes.Join(items, nil)...)
}

// thrift is a struct of fields that are numbered from 1.
func thrift(fields ...[]byte) []byte {
	var b []byte
	last := 0
	for i, f := range fields {
		if f == nil {
			continue
		}
		b = append(append(b, byte(i+1-last)<<4|f[0]), f[1:]...)
		last = i + 1
	}
	return append(b, 0)
}
