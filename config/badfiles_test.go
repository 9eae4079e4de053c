package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluice-gems/sluice/config"
)

// Every *.bad.yml holds one mistake and, in its first line, the one problem that
// must be reported for it, from the name of the file on.
func badFiles(t *testing.T, folder string, problems func(path string) error) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("testdata", folder, "*.bad.yml"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no files in testdata/%s: %v", folder, err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			raw, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			first, _, _ := strings.Cut(string(raw), "\n")
			want := filepath.Dir(path) + "/" + strings.TrimPrefix(first, "# want: ")
			err = problems(path)
			if err == nil {
				t.Fatalf("accepted; want %s", want)
			}
			if err.Error() != want {
				t.Errorf("got  %s\nwant %s", err, want)
			}
		})
	}
}

func TestABadConfigFileSaysWhatIsWrongAndWhere(t *testing.T) {
	t.Parallel()
	badFiles(t, "config", func(path string) error {
		_, err := config.Load(env("SLUICE_CONFIG", path), os.ReadFile)
		return err
	})
}

func TestABadCatalogueSaysWhatIsWrongAndWhere(t *testing.T) {
	t.Parallel()
	badFiles(t, "catalog", func(path string) error {
		_, err := config.LoadCatalog(path)
		return err
	})
}

// env is an environment of name, value, name, value...
func env(pairs ...string) func(string) (string, bool) {
	values := make(map[string]string)
	for i := 0; i+1 < len(pairs); i += 2 {
		values[pairs[i]] = pairs[i+1]
	}
	return func(name string) (string, bool) { value, ok := values[name]; return value, ok }
}

// files is a disk that holds these contents, by path.
func files(contents map[string]string) func(string) ([]byte, error) {
	return func(path string) ([]byte, error) {
		content, ok := contents[path]
		if !ok {
			return nil, &os.PathError{Op: "open", Path: path, Err: os.ErrNotExist}
		}
		return []byte(content), nil
	}
}
