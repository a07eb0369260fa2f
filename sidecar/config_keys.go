package sidecar

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// key is one key of the configuration, with its place in a Config.
type key struct {
	name    string // "uds.idle_timeout"
	env     string // "RON_LEDGER_UDS_IDLE_TIMEOUT"
	allowed string // "1s..168h", "a|b", or empty
	value   reflect.Value
}

const envPrefix = "RON_LEDGER_"

// keys returns every key of c in the order of its declaration.
func (c *Config) keys() []key {
	return appendKeys(nil, "", reflect.ValueOf(c).Elem())
}

func appendKeys(keys []key, prefix string, section reflect.Value) []key {
	for i := range section.NumField() {
		field, value := section.Type().Field(i), section.Field(i)
		if !field.IsExported() {
			continue
		}
		name := prefix + field.Tag.Get("toml")
		if value.Kind() == reflect.Struct {
			keys = appendKeys(keys, name+".", value)
			continue
		}
		env := field.Tag.Get("env")
		if env == "" {
			env = strings.ToUpper(strings.ReplaceAll(name, ".", "_"))
		}
		keys = append(keys, key{name: name, env: envPrefix + env, allowed: field.Tag.Get("allowed"), value: value})
	}
	return keys
}

// set reads text, from the environment or a flag, into the key.
func (k *key) set(text string) error {
	return setText(k.value, text)
}

func setText(value reflect.Value, text string) error {
	if u, ok := value.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return u.UnmarshalText([]byte(text))
	}
	switch p := value.Addr().Interface().(type) {
	case *string:
		*p = text
	case *int:
		n, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("%q is not a whole number", text)
		}
		*p = n
	case *[]uint32:
		ids := []uint32{}
		for part := range strings.SplitSeq(text, ",") {
			if part = strings.TrimSpace(part); part == "" {
				continue
			}
			id, err := strconv.ParseUint(part, 10, 32)
			if err != nil {
				return fmt.Errorf("%q is not an id: write numbers with commas between them", part)
			}
			ids = append(ids, uint32(id))
		}
		*p = ids
	default:
		panic("sidecar: a key of the configuration has a type that text cannot set: " + value.Type().String())
	}
	return nil
}

// text returns the value as set reads it.
func (k *key) text() string {
	if ids, ok := k.value.Interface().([]uint32); ok {
		var parts []string
		for _, id := range ids {
			parts = append(parts, strconv.FormatUint(uint64(id), 10))
		}
		return strings.Join(parts, ",")
	}
	return fmt.Sprint(k.value.Interface())
}

// check holds the value against what is allowed.
func (k *key) check() error {
	if k.allowed == "" {
		return nil
	}
	least, most, isRange := strings.Cut(k.allowed, "..")
	if !isRange {
		words := strings.Split(k.allowed, "|")
		if !slices.Contains(words, k.value.String()) {
			return fmt.Errorf("check configuration: %s is %q: it must be one of %s", k.name, k.value.String(), strings.Join(words, ", "))
		}
		return nil
	}
	low, high := reflect.New(k.value.Type()).Elem(), reflect.New(k.value.Type()).Elem()
	for _, bound := range []struct {
		value reflect.Value
		text  string
	}{{low, least}, {high, most}} {
		if err := setText(bound.value, bound.text); err != nil {
			panic("sidecar: bounds of " + k.name + ": " + err.Error())
		}
	}
	if n := k.value.Int(); n < low.Int() || n > high.Int() {
		return fmt.Errorf("check configuration: %s is %s: it must be in %s", k.name, k.text(), k.allowed)
	}
	return nil
}
