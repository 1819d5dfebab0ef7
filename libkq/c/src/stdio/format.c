/* printf(3)'s formats, without %n, %a and wide characters. Floating-point numbers are exact: a number is written out in
 * decimal as a whole, and rounded half to even where the precision ends. */

#include "format.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <errno.h>

enum { LEFT = 1, PLUS = 2, SPACE = 4, ALTERNATE = 8, ZERO = 16, UPPER = 32 };

struct conversion {
	unsigned flags;
	int width;
	int precision;		/* -1: none given */
};

static void put(struct output *to, char byte)
{
	if (to->room > 0) {
		*to->place++ = byte;
		to->room--;
	}
	to->length++;
}

static void fill(struct output *to, char byte, int count)
{
	while (count-- > 0)
		put(to, byte);
}

static void put_bytes(struct output *to, const char *bytes, size_t length)
{
	while (length-- > 0)
		put(to, *bytes++);
}

/* A sign or prefix, zeroes, then the text, in the field. */
static void put_field(struct output *to, const struct conversion *how, const char *prefix, int zeroes, const char *text,
		      size_t length)
{
	size_t before = strlen(prefix);
	int pad = how->width - (int)(before + length) - zeroes;

	if (pad < 0)
		pad = 0;
	if (how->flags & ZERO && !(how->flags & LEFT)) {
		zeroes += pad;
		pad = 0;
	}
	if (!(how->flags & LEFT))
		fill(to, ' ', pad);
	put_bytes(to, prefix, before);
	fill(to, '0', zeroes);
	put_bytes(to, text, length);
	if (how->flags & LEFT)
		fill(to, ' ', pad);
}

static void put_integer(struct output *to, struct conversion how, uintmax_t value, unsigned base, const char *sign)
{
	const char *digits = how.flags & UPPER ? "0123456789ABCDEF" : "0123456789abcdef";
	char text[24];
	char *first = text + sizeof(text);
	const char *prefix = sign;
	int zeroes;

	for (uintmax_t rest = value; rest != 0; rest /= base)
		*--first = digits[rest % base];
	if (how.flags & ALTERNATE && base == 16 && value != 0)
		prefix = how.flags & UPPER ? "0X" : "0x";
	zeroes = (how.precision < 0 ? 1 : how.precision) - (int)(text + sizeof(text) - first);
	if (how.flags & ALTERNATE && base == 8 && zeroes < 1)
		zeroes = 1;
	if (how.precision >= 0)
		how.flags &= ~ZERO;
	put_field(to, &how, prefix, zeroes < 0 ? 0 : zeroes, first, (size_t)(text + sizeof(text) - first));
}

/* A number in decimal: digit[0] is before the point, which is 10^exponent. */
struct decimal {
	char digit[1100];
	int count;
	int exponent;
};

/* The smallest double has 1074 binary places behind the point; the largest 1024 before it. In limbs of nine digits. */
#define LIMBS 160
#define BILLION 1000000000u

/* Writes out mantissa * 2^power. */
static void to_decimal(struct decimal *out, uint64_t mantissa, int power)
{
	uint32_t limb[LIMBS] = { (uint32_t)(mantissa % BILLION), (uint32_t)(mantissa / BILLION % BILLION),
				 (uint32_t)(mantissa / BILLION / BILLION) };
	int used = 3;
	int places = power < 0 ? -power : 0;
	char *to = out->digit;

	/* mantissa * 2^-n = mantissa * 5^n * 10^-n */
	for (int n = power < 0 ? -power : power; n > 0;) {
		uint32_t factor = 1;
		uint64_t carry = 0;

		for (int i = 0; i < 12 && n > 0; i++, n--)
			factor *= power < 0 ? 5 : 2;
		for (int i = 0; i < used; i++) {
			carry += (uint64_t)limb[i] * factor;
			limb[i] = (uint32_t)(carry % BILLION);
			carry /= BILLION;
		}
		if (carry != 0)
			limb[used++] = (uint32_t)carry;
	}
	for (int i = used - 1; i >= 0; i--)
		for (uint32_t unit = BILLION / 10; unit > 0; unit /= 10) {
			char digit = (char)('0' + limb[i] / unit % 10);

			if (to != out->digit || digit != '0')
				*to++ = digit;
		}
	out->count = (int)(to - out->digit);
	out->exponent = out->count - 1 - places;
	if (out->count == 0) {
		out->digit[out->count++] = '0';
		out->exponent = 0;
	}
}

/* Leaves so many digits, half to even. */
static void round_to(struct decimal *number, int count)
{
	bool up, rest = false;

	if (count >= number->count)
		return;
	if (count < 0) {
		/* Less than half a unit of the last place. */
		number->digit[0] = '0';
		number->count = 1;
		number->exponent = 0;
		return;
	}
	for (int i = count + 1; i < number->count; i++)
		rest |= number->digit[i] != '0';
	up = number->digit[count] > '5' ||
	     (number->digit[count] == '5' && (rest || (count > 0 && number->digit[count - 1] % 2 != 0)));
	number->count = count;
	if (!up)
		return;
	while (count > 0 && number->digit[count - 1] == '9')
		number->digit[--count] = '0';
	if (count > 0) {
		number->digit[count - 1]++;
		return;
	}
	/* 99.9 became 100: the zeroes behind the one are there already. */
	number->digit[0] = '1';
	if (number->count == 0)
		number->count = 1;
	number->exponent++;
}

static char digit_of(const struct decimal *number, int place)
{
	int index = number->exponent - place;

	return index >= 0 && index < number->count ? number->digit[index] : '0';
}

/* Body of %f: long for large numbers, so it goes out digit by digit. */
static void put_fixed(struct output *to, struct conversion how, struct decimal *number, const char *sign, int precision)
{
	int before, pad;
	bool point = precision > 0 || how.flags & ALTERNATE;

	round_to(number, number->exponent + 1 + precision);
	before = number->exponent < 0 ? 0 : number->exponent;
	pad = how.width - (int)strlen(sign) - (before + 1) - point - precision;
	if (!(how.flags & (LEFT | ZERO)))
		fill(to, ' ', pad);
	put_bytes(to, sign, strlen(sign));
	if (how.flags & ZERO && !(how.flags & LEFT))
		fill(to, '0', pad);
	for (int place = before; place >= 0; place--)
		put(to, digit_of(number, place));
	if (point)
		put(to, '.');
	for (int place = -1; place >= -precision; place--)
		put(to, digit_of(number, place));
	if (how.flags & LEFT)
		fill(to, ' ', pad);
}

/* Body of %e. */
static void put_scientific(struct output *to, struct conversion how, struct decimal *number, const char *sign,
			   int precision)
{
	int exponent, magnitude, pad, digits;
	bool point = precision > 0 || how.flags & ALTERNATE;

	round_to(number, precision + 1);
	exponent = number->digit[0] == '0' ? 0 : number->exponent;
	magnitude = exponent < 0 ? -exponent : exponent;
	digits = magnitude >= 100 ? 3 : 2;
	pad = how.width - (int)strlen(sign) - 1 - point - precision - 2 - digits;
	if (!(how.flags & (LEFT | ZERO)))
		fill(to, ' ', pad);
	put_bytes(to, sign, strlen(sign));
	if (how.flags & ZERO && !(how.flags & LEFT))
		fill(to, '0', pad);
	put(to, number->digit[0]);
	if (point)
		put(to, '.');
	for (int i = 1; i <= precision; i++)
		put(to, i < number->count ? number->digit[i] : '0');
	put(to, how.flags & UPPER ? 'E' : 'e');
	put(to, exponent < 0 ? '-' : '+');
	for (int unit = digits == 3 ? 100 : 10; unit > 0; unit /= 10)
		put(to, (char)('0' + magnitude / unit % 10));
	if (how.flags & LEFT)
		fill(to, ' ', pad);
}

static void put_double(struct output *to, struct conversion how, double value, char kind)
{
	struct decimal number;
	uint64_t bits, mantissa;
	int power, precision = how.precision < 0 ? 6 : how.precision;
	const char *sign = "";

	memcpy(&bits, &value, sizeof(bits));
	if (bits >> 63)
		sign = "-";
	else if (how.flags & PLUS)
		sign = "+";
	else if (how.flags & SPACE)
		sign = " ";
	mantissa = bits & ((1ull << 52) - 1);
	power = (int)(bits >> 52 & 0x7ff);
	if (power == 0x7ff) {
		how.flags &= ~ZERO;
		if (mantissa != 0)
			put_field(to, &how, sign, 0, how.flags & UPPER ? "NAN" : "nan", 3);
		else
			put_field(to, &how, sign, 0, how.flags & UPPER ? "INF" : "inf", 3);
		return;
	}
	if (power == 0)
		power = 1;
	else
		mantissa |= 1ull << 52;
	to_decimal(&number, mantissa, power - 1075);
	if (kind == 'f') {
		put_fixed(to, how, &number, sign, precision);
		return;
	}
	if (kind == 'e') {
		put_scientific(to, how, &number, sign, precision);
		return;
	}
	/* %g: so many digits, without zeroes at the end, the shorter way. */
	if (precision == 0)
		precision = 1;
	round_to(&number, precision);
	if (!(how.flags & ALTERNATE))
		while (number.count > 1 && number.digit[number.count - 1] == '0')
			number.count--;
	if (number.exponent < -4 || number.exponent >= precision)
		put_scientific(to, how, &number, sign, how.flags & ALTERNATE ? precision - 1 : number.count - 1);
	else if (how.flags & ALTERNATE)
		put_fixed(to, how, &number, sign, precision - 1 - number.exponent);
	else
		put_fixed(to, how, &number, sign,
			  number.count - 1 > number.exponent ? number.count - 1 - number.exponent : 0);
}

enum length { INT, CHAR, SHORT, LONG, LONG_LONG, LONG_DOUBLE };

static intmax_t next_signed(va_list *arguments, enum length length)
{
	switch (length) {
	case CHAR:
		return (signed char)va_arg(*arguments, int);
	case SHORT:
		return (short)va_arg(*arguments, int);
	case INT:
		return va_arg(*arguments, int);
	default:
		return va_arg(*arguments, long);
	}
}

static uintmax_t next_unsigned(va_list *arguments, enum length length)
{
	switch (length) {
	case CHAR:
		return (unsigned char)va_arg(*arguments, unsigned);
	case SHORT:
		return (unsigned short)va_arg(*arguments, unsigned);
	case INT:
		return va_arg(*arguments, unsigned);
	default:
		return va_arg(*arguments, unsigned long);
	}
}

/* A number of the format, or one of the arguments for `*`. */
static int number(const char **format, va_list *arguments)
{
	int value = 0;

	if (**format == '*') {
		++*format;
		return va_arg(*arguments, int);
	}
	for (; **format >= '0' && **format <= '9'; ++*format)
		if (value < 100000000)
			value = value * 10 + (**format - '0');
	return value;
}

static struct conversion conversion(const char **format, va_list *arguments)
{
	struct conversion how = { 0, 0, -1 };

	for (;; ++*format) {
		switch (**format) {
		case '-':
			how.flags |= LEFT;
			continue;
		case '+':
			how.flags |= PLUS;
			continue;
		case ' ':
			how.flags |= SPACE;
			continue;
		case '#':
			how.flags |= ALTERNATE;
			continue;
		case '0':
			how.flags |= ZERO;
			continue;
		}
		break;
	}
	how.width = number(format, arguments);
	if (how.width < 0) {
		how.flags |= LEFT;
		how.width = how.width == INT32_MIN ? INT32_MAX : -how.width;
	}
	if (**format == '.') {
		++*format;
		how.precision = number(format, arguments);
	}
	return how;
}

static enum length length_of(const char **format)
{
	switch (*(*format)++) {
	case 'h':
		if (**format != 'h')
			return SHORT;
		++*format;
		return CHAR;
	case 'l':
		if (**format != 'l')
			return LONG;
		++*format;
		return LONG_LONG;
	case 'j':
	case 'z':
	case 't':
		return LONG;
	case 'L':
		return LONG_DOUBLE;
	}
	--*format;
	return INT;
}

/* One conversion; returns false for one that is not known. */
static bool convert(struct output *to, struct conversion how, enum length length, char kind, va_list *arguments)
{
	const char *text;
	intmax_t value;
	char byte;

	if (kind >= 'A' && kind <= 'Z') {
		how.flags |= UPPER;
		kind += 'a' - 'A';
	}
	switch (kind) {
	case '%':
		put(to, '%');
		return true;
	case 'c':
		byte = (char)va_arg(*arguments, int);
		how.flags &= ~ZERO;
		put_field(to, &how, "", 0, &byte, 1);
		return true;
	case 's':
		text = va_arg(*arguments, const char *);
		if (text == NULL)
			text = "(null)";
		how.flags &= ~ZERO;
		put_field(to, &how, "", 0, text, how.precision < 0 ? strlen(text) : strnlen(text, (size_t)how.precision));
		return true;
	case 'd':
	case 'i':
		value = next_signed(arguments, length);
		put_integer(to, how, value < 0 ? -(uintmax_t)value : (uintmax_t)value, 10,
			    value < 0 ? "-" : how.flags & PLUS ? "+" : how.flags & SPACE ? " " : "");
		return true;
	case 'u':
		put_integer(to, how, next_unsigned(arguments, length), 10, "");
		return true;
	case 'o':
		put_integer(to, how, next_unsigned(arguments, length), 8, "");
		return true;
	case 'x':
		put_integer(to, how, next_unsigned(arguments, length), 16, "");
		return true;
	case 'p':
		how.flags |= ALTERNATE;
		put_integer(to, how, (uintptr_t)va_arg(*arguments, void *), 16, "");
		return true;
	case 'f':
	case 'e':
	case 'g':
		if (length == LONG_DOUBLE)
			put_double(to, how, (double)va_arg(*arguments, long double), kind);
		else
			put_double(to, how, va_arg(*arguments, double), kind);
		return true;
	}
	return false;
}

void __kq_format(struct output *to, const char *format, va_list given)
{
	int saved = errno;
	va_list arguments;

	va_copy(arguments, given);
	while (*format != '\0') {
		const char *begin = format;
		struct conversion how;
		enum length length;

		if (*format != '%') {
			put(to, *format++);
			continue;
		}
		format++;
		if (*format == 'm') {
			const char *text = strerror(saved);

			put_bytes(to, text, strlen(text));
			format++;
			continue;
		}
		how = conversion(&format, &arguments);
		length = length_of(&format);
		if (*format == '\0' || !convert(to, how, length, *format, &arguments)) {
			/* Not known: as it stands, and what follows cannot be trusted. */
			put_bytes(to, begin, strlen(begin));
			break;
		}
		format++;
	}
	va_end(arguments);
}
