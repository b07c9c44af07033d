package statement

import (
	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

// Statement is one of the types below, as Parse made it.
type Statement interface{ origin() *located }

// located is where the parts of a statement stand that the engine reads.
type located struct {
	script string
	pieces []piece
	hint   string // what such a statement looks like
}

func (l *located) origin() *located { return l }

// piece is an expression, or a query.
type piece struct {
	text   string
	offset int // into the script
	query  bool
}

// Name is a table as a script names it: "silver.orders", or the text of a quoted path such as './orders'.
type Name struct {
	Text   string
	Offset int // bytes into the script
}

// Select is a query: what it says is the engine's.
type Select struct {
	located

	SQL string
}

// Source is rows for a statement.
type Source struct {
	SQL  string // a query; "" where Name stands
	Name Name   // a table or files
	At   string // how Name travels in time, as in table.TableRef
}

// Word is the source in one word of a command line: the query, or the name with its time travel as a query.
func (s Source) Word() string {
	switch {
	case s.SQL != "":
		return s.SQL
	case s.At != "":
		return "SELECT * FROM " + table.QuoteIdent(s.Name.Text) + " AT (" + s.At + ")"
	}
	return s.Name.Text
}

// Merge is MERGE INTO. Request holds everything but the source.
type Merge struct {
	located

	Target  Name
	Source  Source
	Request table.Merge
}

// Update is UPDATE.
type Update struct {
	located

	Target  Name
	Request table.Update
}

// Delete is DELETE FROM and TRUNCATE TABLE.
type Delete struct {
	located

	Target  Name
	Request table.Delete
}

// Insert is INSERT INTO and INSERT OVERWRITE. Without Columns and ByName the columns of the query count by position.
type Insert struct {
	located

	Target    Name
	Columns   []string
	ByName    bool
	SQL       string // the query
	Overwrite bool   // every row of the table leaves, or those of Where
	Where     string // REPLACE WHERE
	Evolve    bool   // WITH SCHEMA EVOLUTION
}

// Create is CREATE TABLE.
type Create struct {
	located

	Target      Name
	OrReplace   bool
	MustReplace bool // REPLACE TABLE: there must be one
	Request     table.Create
	Like        *Name
	SQL         string // AS SELECT; "" without
}

// Alter is ALTER TABLE and COMMENT ON.
type Alter struct {
	located

	Target  Name
	Request table.Alter
	// IfExists and IfNotExists: columns, properties or constraints that the request names may be missing, or there.
	IfExists, IfNotExists bool
}

// Drop is DROP TABLE.
type Drop struct {
	located

	Target   Name
	IfExists bool
}

// Describe is DESCRIBE TABLE, HISTORY and DETAIL.
type Describe struct {
	located

	Target  Name
	At      string // as in Source
	History bool
	Detail  bool
	Limit   int // of History; 0: all
}

// ShowTables is SHOW TABLES.
type ShowTables struct {
	located

	Layer string // "" is every one
}

// Optimize is OPTIMIZE.
type Optimize struct {
	located

	Target  Name
	Request table.Optimize
}

// Vacuum is VACUUM.
type Vacuum struct {
	located

	Target  Name
	Request table.Vacuum
}

// Restore is RESTORE TABLE.
type Restore struct {
	located

	Target  Name
	Version *txlog.Version
	Time    string // as it was written; "" with Version
}
