package txlog

import (
	"slices"
	"strings"
)

// PeerLoss is another engine that can no longer read, or no longer write, a table.
type PeerLoss struct {
	Peer     string   `json:"peer"`     // spark, delta-rs or trino
	CanRead  bool     `json:"can_read"` // false: it cannot even read the table
	Features []string `json:"features"` // what it lacks
}

// peerColumns is the order of the letters in peerSupport.
func peerColumns() []string { return []string{"spark", "delta-rs", "trino"} }

// peerSupport says who has a feature: a letter for each of peerColumns, w for writes, r for reads only, - for neither.
// A feature that only writers must know is read by everyone.
//
// They are the newest releases that were tried with this one: Spark with Delta 4, delta-rs 1, Trino.
func peerSupport(name string) string {
	switch name {
	case FeatureAppendOnly, FeatureInvariants, FeatureCheckConstraints, FeatureChangeDataFeed, FeatureColumnMapping,
		FeatureDeletionVectors, FeatureTimestampNTZ, FeatureVariantType:
		return "www"
	case FeatureGeneratedColumns:
		return "ww-"
	case FeatureV2Checkpoint:
		return "wwr"
	case FeatureTypeWidening:
		return "w-r"
	case FeatureVacuumProtocolCheck:
		return "w-w"
	}
	return "w--"
}

// PeersLost tells which other engines can work less with a table under the protocol after than under before; nil
// before is a protocol that all of them know.
func PeersLost(before, after *Protocol) []PeerLoss {
	var lost []PeerLoss
	for i, peer := range peerColumns() {
		var had PeerLoss
		if before != nil {
			had = before.lossOf(i)
		} else {
			had.CanRead = true
		}
		now := after.lossOf(i)
		worse := len(now.Features) > 0 && (len(had.Features) == 0 || had.CanRead && !now.CanRead)
		if worse {
			now.Peer = peer
			lost = append(lost, now)
		}
	}
	return lost
}

// lossOf lists the features that a peer lacks.
func (p *Protocol) lossOf(peer int) PeerLoss {
	loss := PeerLoss{CanRead: true}
	// Every peer knows what version numbers up to (2,5) imply, as far as it is not in use.
	if p.MinWriterVersion <= 5 {
		return loss
	}
	for _, name := range p.supported() {
		f, _ := featureNamed(name)
		has := peerSupport(f.name)[peer]
		if p.MinWriterVersion < 7 && f.writer <= 5 || has == 'w' {
			continue
		}
		loss.Features = append(loss.Features, f.name)
		loss.CanRead = loss.CanRead && (has == 'r' || !f.readerWrite)
	}
	slices.Sort(loss.Features)
	return loss
}

// String is the loss in words.
func (l PeerLoss) String() string {
	verb := "can read the table but no longer write it"
	if !l.CanRead {
		verb = "can no longer read or write the table"
	}
	return l.Peer + " " + verb + ": it lacks " + strings.Join(l.Features, ", ")
}
