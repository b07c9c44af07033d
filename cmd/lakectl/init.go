package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/lakectl/lakectl/examples"
	"github.com/lakectl/lakectl/internal/ui"
)

func (a *app) initCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "init [DIR]",
		Short: "Write a runnable example project: two weeks of real flights",
		Long: `init writes a project into DIR (here, when left out): lake.yml, a pipeline with bronze, silver and gold models,
and the files that it loads, a fortnight of real flights. Nothing that exists is overwritten.`,
		Example: `  lakectl init flights
  lakectl run --project flights`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return exactly("DIR")(cmd, args)
		},
		RunE: func(_ *cobra.Command, args []string) error {
			if err := a.oneValue(); err != nil {
				return err
			}
			dir := "."
			if len(args) == 1 {
				dir = args[0]
			}
			return a.writeExample(dir)
		},
	}
}

// writeExample copies the example into dir. It looks for what is in the way before it writes anything.
func (a *app) writeExample(dir string) error {
	project, err := fs.Sub(examples.FS, "flights")
	if err != nil {
		return fmt.Errorf("read example: %w", err)
	}
	var files, total int64
	err = fs.WalkDir(project, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		to := filepath.Join(dir, filepath.FromSlash(path))
		if _, err := os.Lstat(to); !errors.Is(err, fs.ErrNotExist) {
			return &toldError{code: exitError, message: to + " exists already; nothing was written", why: "init overwrites nothing", hint: "choose a folder that is new: lakectl init flights"}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("write example: %w", err)
	}
	err = fs.WalkDir(project, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		to := filepath.Join(dir, filepath.FromSlash(path))
		if d.IsDir() {
			return os.MkdirAll(to, 0o755) //nolint:gosec // a project is shared; the umask decides
		}
		text, err := fs.ReadFile(project, path)
		if err != nil {
			return err
		}
		files, total = files+1, total+int64(len(text))
		return os.WriteFile(to, text, 0o644) //nolint:gosec // a project is shared; the umask decides
	})
	if err != nil {
		return fmt.Errorf("write example: %w", err)
	}
	if a.term.Machine() {
		return a.term.Object(map[string]any{"folder": dir, "files": files, "bytes": total})
	}
	if a.term.Quiet {
		return nil
	}
	a.term.Printf("wrote the flights example into %s   %s   %s\n", ui.Clean(dir), ui.Plural(files, "file"), ui.Bytes(total))
	a.term.Printf("try next:\n")
	if dir != "." {
		a.term.Printf("  cd %s\n", ui.Clean(dir))
	}
	a.term.Printf("  lakectl run\n  lakectl query 'SELECT * FROM gold.route_ranking ORDER BY place LIMIT 5'\n")
	return nil
}
