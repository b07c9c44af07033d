package statement_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/lakectl/lakectl/engine/duckdb"
	"github.com/lakectl/lakectl/objectstore/mem"
	"github.com/lakectl/lakectl/table/statement"
)

// A script makes a table, changes rows and reads them. Each statement is one commit.
func ExampleSession_Exec() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir) //nolint:errcheck // of a temporary folder
	engine, err := duckdb.Open(duckdb.Options{TempDir: dir})
	if err != nil {
		log.Fatal(err)
	}
	defer engine.Close() //nolint:errcheck // nothing is left to write
	session := &statement.Session{Lake: &statement.Warehouse{Store: mem.New("example")}, Engine: engine}
	err = session.Exec(ctx, `
		CREATE TABLE silver.orders (id bigint NOT NULL, status string);
		INSERT INTO silver.orders VALUES (1, 'new'), (2, 'new'), (3, 'gone');
		UPDATE silver.orders SET status = 'sent' WHERE id = 2;
		DELETE FROM silver.orders WHERE status = 'gone';
		SELECT * FROM silver.orders ORDER BY id`,
		func(o *statement.Outcome) error {
			if o.Rows == nil {
				fmt.Printf("%s %s: version %d\n", o.Verb, o.Table, o.Change.VersionAfter)
				return nil
			}
			for row, err := range o.Rows.All {
				if err != nil {
					return err
				}
				fmt.Println(row...)
			}
			return o.Rows.Close()
		})
	if err != nil {
		log.Fatal(err)
	}
	// Output:
	// created silver.orders: version 0
	// inserted into silver.orders: version 1
	// updated silver.orders: version 2
	// deleted from silver.orders: version 3
	// 1 new
	// 2 sent
}
