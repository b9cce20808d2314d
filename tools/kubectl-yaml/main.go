// Reads YAML or JSON as kubectl does, for the tests of `lcm plan check`.
//
// Each line of the input is a file, in base64. Each line of the output is what kubectl reads in it:
// {"documents": [...], "error": "..."}; the documents before an error are those that kubectl would send.
package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
	"k8s.io/apimachinery/pkg/runtime"
	kjson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/yaml"
)

type answer struct {
	Documents []json.RawMessage `json:"documents"`
	Error     string            `json:"error"`
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 64*1024*1024)
	out := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		file, err := base64.StdEncoding.DecodeString(lines.Text())
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
		if err := out.Encode(read(file)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
	}
}

// As in k8s.io/cli-runtime/pkg/resource: FileVisitor, StreamVisitor, and the decoder of unstructured objects.
func read(file []byte) answer {
	found := answer{Documents: []json.RawMessage{}}
	decoded := transform.NewReader(bytes.NewReader(file), unicode.BOMOverride(unicode.UTF8.NewDecoder()))
	decoder := yaml.NewYAMLOrJSONDecoder(decoded, 4096)
	for {
		raw := runtime.RawExtension{}
		if err := decoder.Decode(&raw); errors.Is(err, io.EOF) {
			return found
		} else if err != nil {
			found.Error = err.Error()
			return found
		}
		raw.Raw = bytes.TrimSpace(raw.Raw)
		if len(raw.Raw) == 0 || bytes.Equal(raw.Raw, []byte("null")) {
			continue
		}
		var object interface{}
		if err := kjson.Unmarshal(raw.Raw, &object); err != nil {
			found.Error = err.Error()
			return found
		}
		sent, err := json.Marshal(object)
		if err != nil {
			found.Error = err.Error()
			return found
		}
		found.Documents = append(found.Documents, sent)
	}
}
