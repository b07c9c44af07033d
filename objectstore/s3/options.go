package s3

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/internal/redact"
	"github.com/lakectl/lakectl/objectstore"
)

// Options say where and who. The zero value is Amazon S3 with the credentials that the AWS tools would use.
type Options struct {
	// Endpoint is the base URL of the service, "https://host:port"; without a scheme it is https. Empty means
	// $AWS_ENDPOINT_URL_S3, then $AWS_ENDPOINT_URL, then Amazon S3.
	Endpoint string
	// Region signs requests. Empty means $AWS_REGION, then $AWS_DEFAULT_REGION, then us-east-1 at an endpoint of
	// one's own, and at Amazon a question to the bucket.
	Region string
	// PathStyle puts the bucket into the path instead of the host name. Endpoints of one's own are always addressed
	// so.
	PathStyle bool
	// Insecure allows plain HTTP beyond this machine. Everyone on the way can then read and change everything, the
	// credentials of temporary sessions included.
	Insecure bool

	// AccessKey, SecretKey and SessionToken replace the search for credentials in the environment, the profile files
	// and the metadata services.
	AccessKey    redact.Secret
	SecretKey    redact.Secret
	SessionToken redact.Secret
	// Profile is a section of the AWS profile files. Empty means $AWS_PROFILE, then "default".
	Profile string
	// Anonymous sends unsigned requests, for public buckets.
	Anonymous bool

	// DialTimeout bounds the connect, TLS included. DefaultDialTimeout if zero.
	DialTimeout time.Duration
	// StallTimeout bounds the time in which a connection moves no byte in either direction. DefaultStallTimeout if zero.
	StallTimeout time.Duration
	// PartSize is the size from which a body is sent in parts, and the size of a part, in bytes. DefaultPartSize if
	// zero, at least PartSizeMin. S3 takes at most 10,000 parts: larger bodies get larger parts.
	PartSize int64
	// Uploads is how many parts of one body are sent at a time. DefaultUploads if zero.
	Uploads int

	// Clock measures stalls. The system's if nil.
	Clock clock.Clock
	// Logger is told about a connection that is not encrypted. Nobody is if nil.
	Logger *slog.Logger
}

// Defaults and limits of [Options].
const (
	DefaultDialTimeout  = 5 * time.Second
	DefaultStallTimeout = 30 * time.Second
	DefaultPartSize     = 32 << 20
	PartSizeMin         = 5 << 20
	DefaultUploads      = 4

	uploadsMax = 64
	partsMax   = 10_000
)

// fill sets what is empty, from the environment where AWS tools would look.
func (o *Options) fill() {
	o.Endpoint = first(o.Endpoint, os.Getenv("AWS_ENDPOINT_URL_S3"), os.Getenv("AWS_ENDPOINT_URL"))
	o.Region = first(o.Region, os.Getenv("AWS_REGION"), os.Getenv("AWS_DEFAULT_REGION"))
	if o.Endpoint == "" {
		o.Endpoint = amazon
	} else {
		o.Region = first(o.Region, "us-east-1")
	}
	if !strings.Contains(o.Endpoint, "://") {
		o.Endpoint = "https://" + o.Endpoint
	}
	o.DialTimeout = positive(o.DialTimeout, DefaultDialTimeout)
	o.StallTimeout = positive(o.StallTimeout, DefaultStallTimeout)
	o.PartSize = positive(o.PartSize, DefaultPartSize)
	o.Uploads = positive(o.Uploads, DefaultUploads)
	if o.Clock == nil {
		o.Clock = clock.System()
	}
}

const amazon = "https://s3.amazonaws.com"

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

func positive[T int | int64 | time.Duration](v, otherwise T) T {
	if v > 0 {
		return v
	}
	return otherwise
}

// validate returns every problem at once. Its errors wrap objectstore.ErrBadRequest and show no secret.
func (o *Options) validate() (endpoint *url.URL, err error) {
	var problems []error
	bad := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	shown := redact.URL(o.Endpoint)
	endpoint, perr := url.Parse(o.Endpoint)
	switch {
	case perr != nil || endpoint.Hostname() == "":
		bad("endpoint %s is not a URL such as https://host:port", shown)
	case endpoint.Scheme != "https" && endpoint.Scheme != "http":
		bad("endpoint %s has the scheme %q, want https", shown, endpoint.Scheme)
	case endpoint.User != nil:
		bad("endpoint %s holds credentials: put them into AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY", shown)
	case strings.Trim(endpoint.Path, "/") != "" || endpoint.RawQuery != "" || endpoint.Fragment != "":
		bad("endpoint %s has a path or query: the bucket belongs into the s3:// URL", shown)
	case endpoint.Scheme == "http" && !o.Insecure && !loopback(endpoint.Hostname()):
		bad("endpoint %s is plain HTTP beyond this machine: use https, or set insecure if nobody else is on the way", shown)
	}
	if o.PartSize < PartSizeMin {
		bad("part size of %d bytes is below %d", o.PartSize, PartSizeMin)
	}
	if o.Uploads > uploadsMax {
		bad("%d parallel uploads, at most %d", o.Uploads, uploadsMax)
	}
	if o.AccessKey.Empty() != o.SecretKey.Empty() {
		bad("access key and secret key are given only together")
	}
	if o.Anonymous && !o.AccessKey.Empty() {
		bad("anonymous access and an access key exclude each other")
	}
	if len(problems) > 0 {
		return nil, fmt.Errorf("%w: %w", objectstore.ErrBadRequest, errors.Join(problems...))
	}
	return endpoint, nil
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// location splits "s3://bucket/prefix" into its parts; the prefix has no slash at its ends.
func location(address string) (bucket, prefix string, err error) {
	shown := redact.URL(address)
	u, perr := url.Parse(address)
	switch {
	case perr != nil || u.Scheme != "s3" && u.Scheme != "s3a":
		return "", "", fmt.Errorf("%w: %s is not s3://bucket/prefix", objectstore.ErrBadRequest, shown)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Port() != "":
		return "", "", fmt.Errorf("%w: %s: an s3:// URL has a bucket and a prefix, nothing else", objectstore.ErrBadRequest, shown)
	case !bucketName(u.Host):
		return "", "", fmt.Errorf("%w: %s: %q is not a bucket name", objectstore.ErrBadRequest, shown, u.Host)
	}
	prefix = strings.Trim(u.Path, "/")
	if prefix != "" {
		if err := objectstore.CheckKey(prefix); err != nil {
			return "", "", err
		}
	}
	return u.Host, prefix, nil
}

// bucketName: 3 to 63 lower-case letters, digits, dots and dashes, a letter or digit at both ends.
func bucketName(s string) bool {
	alnum := func(c byte) bool { return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' }
	if len(s) < 3 || len(s) > 63 || !alnum(s[0]) || !alnum(s[len(s)-1]) || strings.Contains(s, "..") {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !alnum(c) && c != '-' && c != '.' {
			return false
		}
	}
	return true
}
