package txlog

import (
	"errors"

	"github.com/RoaringBitmap/roaring/v2/roaring64"

	"github.com/lakectl/lakectl/internal/mutant"
	"github.com/lakectl/lakectl/objectstore"
)

// The planted bugs that need more than a condition (R16). None of this is in a product: see internal/mutant.

// misjudged is what a client with a planted bug makes of a failed PUT; false where it has none.
func misjudged(put error) (o Outcome, err error, planted bool) { //nolint:revive // err belongs to o, as in settle
	taken := errors.Is(put, objectstore.ErrExists)
	switch {
	case objectstore.Refused(put):
	case taken && mutant.On(mutant.TakenIsSuccess):
		return OutcomeCommitted, nil, true
	case taken && (mutant.On(mutant.TakenIsLost) || mutant.On(mutant.SettleOff) || mutant.On(mutant.SettleRetry)):
		return OutcomeConflict, nil, true
	case mutant.On(mutant.NextAfterLost):
		return OutcomeConflict, nil, true
	case mutant.On(mutant.SettleOff):
		return OutcomeNone, put, true
	}
	return OutcomeNone, nil, false
}

// ownUnknown tells whether a planted bug keeps a writer from knowing its own work again.
func ownUnknown() bool {
	return mutant.On(mutant.NextAfterLost) || mutant.On(mutant.SettleOff) || mutant.On(mutant.SettleRetry)
}

// offByOne counts the deleted rows from 1.
func offByOne(b *roaring64.Bitmap) *roaring64.Bitmap {
	out := roaring64.New()
	for rows := b.Iterator(); rows.HasNext(); {
		out.Add(rows.Next() + 1)
	}
	return out
}
