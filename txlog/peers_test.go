package txlog

import (
	"fmt"
	"testing"
)

func TestPeersLost(t *testing.T) {
	vectors := &Protocol{
		MinReaderVersion: 3, MinWriterVersion: 7, ReaderFeatures: []string{"deletionVectors"},
		WriterFeatures: []string{"appendOnly", "deletionVectors", "invariants"},
	}
	with := func(p *Protocol, names ...string) *Protocol { return p.with(names) }
	legacy := func(r, w int) *Protocol { return &Protocol{MinReaderVersion: r, MinWriterVersion: w} }
	for name, tc := range map[string]struct {
		before, after *Protocol
		want          string
	}{
		"the default":         {nil, vectors, "[]"},
		"legacy mapping":      {legacy(1, 2), legacy(2, 5), "[]"},
		"identity":            {legacy(1, 2), legacy(1, 6), "[{delta-rs true [identityColumns]} {trino true [identityColumns]}]"},
		"a writer feature":    {vectors, with(vectors, FeatureInCommitTimestamp), "[{delta-rs true [inCommitTimestamp]} {trino true [inCommitTimestamp]}]"},
		"a reader feature":    {vectors, with(vectors, FeatureTypeWidening), "[{delta-rs false [typeWidening]} {trino true [typeWidening]}]"},
		"nothing worse":       {with(vectors, FeatureInCommitTimestamp), with(vectors, FeatureInCommitTimestamp, FeatureRowTracking), "[]"},
		"from write to read":  {with(vectors, FeatureInCommitTimestamp), with(vectors, FeatureInCommitTimestamp, FeatureTypeWidening), "[{delta-rs false [inCommitTimestamp typeWidening]}]"},
		"listed, not implied": {vectors, with(vectors, FeatureGeneratedColumns), "[{trino true [generatedColumns]}]"},
	} {
		got := []string{}
		for _, l := range PeersLost(tc.before, tc.after) {
			got = append(got, fmt.Sprintf("{%s %t %v}", l.Peer, l.CanRead, l.Features))
		}
		if fmt.Sprint(got) != tc.want {
			t.Errorf("%s: got %v, want %s", name, got, tc.want)
		}
	}
	if p, err := (Design{Schema: &Schema{}, Properties: map[string]string{}}).Upgrade(vectors); err != nil || p != vectors {
		t.Errorf("%+v, %v", p, err)
	}
}
