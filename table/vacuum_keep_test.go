package table

import (
	"testing"
	"time"

	"github.com/lakectl/lakectl/objectstore"
)

func TestVacuumSparesHiddenNames(t *testing.T) {
	cutoff := time.Date(2026, 1, 8, 0, 0, 0, 0, time.UTC)
	k := &vacuumKeepSet{
		prefix: "silver/t/", cutoff: cutoff, columns: []string{"_year", "_a b", "month"},
		needed: &neededObjects{keys: map[string]bool{"silver/t/live.parquet": true}, names: map[string]bool{"far.parquet": true}},
	}
	cases := []struct {
		name string
		key  string
		age  time.Duration // before the cut-off
		want bool          // stays
	}{
		{"an orphan goes", "silver/t/part-1.parquet", time.Second, false},
		{"one as old as the cut-off stays", "silver/t/part-1.parquet", 0, true},
		{"a younger one stays", "silver/t/part-1.parquet", -time.Hour, true},
		{"a live file stays", "silver/t/live.parquet", time.Hour, true},
		{"the name of a file elsewhere stays", "silver/t/x/far.parquet", time.Hour, true},
		{"outside the root", "silver/tt/part-1.parquet", time.Hour, true},
		{"the log", "silver/t/_delta_log/00000000000000000000.json", time.Hour, true},
		{"sidecars", "silver/t/_delta_log/_sidecars/x.parquet", time.Hour, true},
		{"hidden file", "silver/t/.part-1.crc", time.Hour, true},
		{"hidden file in a partition", "silver/t/month=1/_SUCCESS", time.Hour, true},
		{"hidden folder, deep", "silver/t/month=1/_tmp/part-1.parquet", time.Hour, true},
		{"manifest", "silver/t/_symlink_format_manifest/manifest", time.Hour, true},
		{"change data goes by age", "silver/t/_change_data/cdc-1.parquet", time.Hour, false},
		{"change data is a folder", "silver/t/_change_data", time.Hour, true},
		{"index", "silver/t/_delta_index/x", time.Hour, false},
		{"partition folder with an underscore", "silver/t/_year=2001/part-1.parquet", time.Hour, false},
		{"escaped partition folder", "silver/t/_a%20b=2001/part-1.parquet", time.Hour, false},
		{"not a partition column", "silver/t/_day=1/part-1.parquet", time.Hour, true},
		{"a file is no partition folder", "silver/t/_year=2001", time.Hour, true},
		{"vector of a dead version", "silver/t/deletion_vector_d2c639aa-8816-431a-aaf6-d3fe2512ff61.bin", time.Hour, false},
		{"metadata without Iceberg", "silver/t/metadata/v1.metadata.json", time.Hour, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := k.keeps(objectstore.Info{Key: c.key, Modified: cutoff.Add(-c.age)}); got != c.want {
				t.Errorf("%s stays: %v, want %v", c.key, got, c.want)
			}
		})
	}
	k.uniform = true
	if !k.keeps(objectstore.Info{Key: "silver/t/metadata/v1.metadata.json"}) {
		t.Error("metadata of Iceberg goes")
	}
}
