package hostile

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// vectors are tables of ten rows with a deletion vector that is not what it should be.
func vectors() map[string]func(f *fixture) {
	// lies writes a sound vector of row 3, lets spoil change the file or its description, and makes a table of it.
	lies := func(rows []uint64, spoil func(file []byte, d *descriptor) []byte) func(f *fixture) {
		return func(f *fixture) {
			data := longs(0, 1, 2, 3, 4, 5, 6, 7, 8, 9)
			f.put("part-0.parquet", data)
			blob := bitmap(rows...)
			file := []byte{1}
			file = binary.BigEndian.AppendUint32(file, uint32(len(blob)))
			file = append(file, blob...)
			file = binary.BigEndian.AppendUint32(file, crc32.ChecksumIEEE(blob))
			d := &descriptor{offset: 1, size: int64(len(blob)), cardinality: int64(len(rows))}
			file = spoil(file, d)
			f.put("deletion_vector_00000000-0000-0000-0000-000000000000.bin", file)
			f.commit(0, protocolDV, metadata(schemaX), withVector("part-0.parquet", int64(len(data)), 10, d.json()))
		}
	}
	three := []uint64{3}
	return map[string]func(f *fixture){
		"wrong-magic": lies(three, func(b []byte, _ *descriptor) []byte {
			b[5] ^= 0xff
			return seal(b)
		}),
		"wrong-version":     lies(three, func(b []byte, _ *descriptor) []byte { b[0] = 2; return b }),
		"wrong-crc":         lies(three, func(b []byte, _ *descriptor) []byte { b[len(b)-1] ^= 1; return b }),
		"wrong-cardinality": lies(three, func(b []byte, d *descriptor) []byte { d.cardinality = 2; return b }),
		"offset-overflow": lies(three, func(b []byte, d *descriptor) []byte {
			d.offset, d.size = 1<<31-1, 512<<20
			return b
		}),
		"bit-2-63":   lies([]uint64{1 << 63}, func(b []byte, _ *descriptor) []byte { return b }),
		"row-beyond": lies([]uint64{10}, func(b []byte, _ *descriptor) []byte { return b }),
		"file-cut":   lies(three, func(b []byte, _ *descriptor) []byte { return b[:len(b)-7] }),
		"size-lies": lies(three, func(b []byte, d *descriptor) []byte {
			d.size = 512 << 20
			return b
		}),
		"full-bitmap": lies(three, func(_ []byte, d *descriptor) []byte {
			blob := everything(1 << 15)
			file := append(binary.BigEndian.AppendUint32([]byte{1}, uint32(len(blob))), blob...)
			d.size, d.cardinality = int64(len(blob)), 1_000_000_000
			return binary.BigEndian.AppendUint32(file, crc32.ChecksumIEEE(blob))
		}),
	}
}

type descriptor struct{ offset, size, cardinality int64 }

func (d *descriptor) json() string {
	return fmt.Sprintf(`{"storageType":"u","pathOrInlineDv":"00000000000000000000","offset":%d,"sizeInBytes":%d,"cardinality":%d}`, d.offset, d.size, d.cardinality)
}

// seal makes the checksum true again.
func seal(file []byte) []byte {
	return binary.BigEndian.AppendUint32(file[:len(file)-4], crc32.ChecksumIEEE(file[5:len(file)-4]))
}

// bitmap is the portable form of a few rows, one bucket each.
func bitmap(rows ...uint64) []byte {
	b := binary.LittleEndian.AppendUint32(nil, 1681511377)
	b = binary.LittleEndian.AppendUint64(b, uint64(len(rows)))
	for _, r := range rows {
		b = binary.LittleEndian.AppendUint32(b, uint32(r>>32))
		b = binary.LittleEndian.AppendUint32(b, 12346) // no runs
		b = binary.LittleEndian.AppendUint32(b, 1)
		b = binary.LittleEndian.AppendUint16(b, uint16(r>>16))
		b = binary.LittleEndian.AppendUint16(b, 0)
		b = binary.LittleEndian.AppendUint32(b, 16)
		b = binary.LittleEndian.AppendUint16(b, uint16(r))
	}
	return b
}

// everything is a bitmap of runs that holds all rows of many buckets in a few bytes each.
func everything(containers int) []byte {
	b := binary.LittleEndian.AppendUint32(nil, 1681511377)
	b = binary.LittleEndian.AppendUint64(b, 1)
	b = binary.LittleEndian.AppendUint32(b, 0)
	b = binary.LittleEndian.AppendUint32(b, uint32(12347|(containers-1)<<16))
	for range (containers + 7) / 8 {
		b = append(b, 0xff)
	}
	for i := range containers {
		b = binary.LittleEndian.AppendUint16(b, uint16(i))
		b = binary.LittleEndian.AppendUint16(b, 0xffff)
	}
	at := len(b) - 16 + 4*containers
	for i := range containers {
		b = binary.LittleEndian.AppendUint32(b, uint32(at+6*i))
	}
	for range containers {
		b = append(b, 1, 0, 0, 0, 0xff, 0xff)
	}
	return b
}
