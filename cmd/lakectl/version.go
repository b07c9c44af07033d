package main

import (
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Version of lakectl, and of the parts that touch data",
		Example: `  lakectl version
  lakectl version --output json`,
		Args: exactly(),
		RunE: func(*cobra.Command, []string) error {
			if err := a.oneValue(); err != nil {
				return err
			}
			parts := struct {
				Version  string `json:"version"`
				Go       string `json:"go"`
				Platform string `json:"platform"`
				DuckDB   string `json:"duckdb_driver"`
				Parquet  string `json:"parquet_go"`
				S3       string `json:"minio_go"`
			}{version, runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH, dependency("github.com/duckdb/duckdb-go-bindings"), dependency("github.com/parquet-go/parquet-go"), dependency("github.com/minio/minio-go/v7")}
			if a.term.Machine() {
				return a.term.Object(parts)
			}
			a.term.Printf("lakectl %s\n", parts.Version)
			a.term.Fact("go", parts.Go, parts.Platform)
			a.term.Fact("duckdb", "driver "+parts.DuckDB)
			a.term.Fact("parquet", parts.Parquet)
			a.term.Fact("s3", "minio-go "+parts.S3)
			return nil
		},
	}
}

// dependency is the version of a module that this binary was built with.
func dependency(path string) string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, m := range info.Deps {
		if strings.EqualFold(m.Path, path) {
			return m.Version
		}
	}
	return "unknown"
}
