package txlog

import "strings"

// The columns that a change data feed has besides those of the table. Protocol: "Change Data Files", "Reader
// Requirements for AddCDCFile".
const (
	ChangeTypeColumn      = "_change_type" // ChangeInsert and its like; the one column that change data files hold too
	CommitVersionColumn   = "_commit_version"
	CommitTimestampColumn = "_commit_timestamp"
)

// Values of ChangeTypeColumn.
const (
	ChangeInsert    = "insert"
	ChangeDelete    = "delete"
	ChangePreimage  = "update_preimage"
	ChangePostimage = "update_postimage"
)

const (
	changeFeedKey    = "delta.enableChangeDataFeed"
	changeFeedOldKey = "delta.enableChangeDataCapture" // its name before the feature had one
)

// RecordsChanges tells whether the properties switch the change data feed on.
//
// Protocol: "Add CDC File"; with writer version 7 it binds writers only where the protocol lists the feature.
func RecordsChanges(configuration map[string]string) bool {
	return isTrue(configuration, changeFeedKey) || isTrue(configuration, changeFeedOldKey)
}

// feedColumn is the first column of the schema that has the name of a column of the feed, without regard to case.
func feedColumn(schema *Schema) (name string, found bool) {
	for _, f := range schema.Fields {
		for _, reserved := range []string{ChangeTypeColumn, CommitVersionColumn, CommitTimestampColumn} {
			if strings.EqualFold(f.Name, reserved) {
				return f.Name, true
			}
		}
	}
	return "", false
}
