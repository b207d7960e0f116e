/* Heat in a plate: the two-dimensional heat equation by explicit finite differences.
 *
 * usage: heat PLATE CELL      PLATE: the plate's description, CELL: the grid's spacing in mm
 *
 * Writes results/snapshots/TIME.csv (temperatures on a grid of 1 mm), results/pictures/TIME.png
 * and results/summary.csv, and draws the plate on standard output.
 */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MAX_DISCS 16
#define PIXELS_PER_MM 4

static double width, height, diffusivity, edge, seconds;
static int snapshots;
static struct { double x, y, radius, temperature; } discs[MAX_DISCS];
static int disc_count;
static double cell;
static int columns, rows;
static double coldest, hottest;

static void die(const char *what) {
    fprintf(stderr, "heat: %s\n", what);
    exit(2);
}

static void read_plate(const char *name) {
    FILE *file = fopen(name, "r");
    char line[256], word[32];
    double a, b, c, d;
    if (!file) die("cannot read the description of the plate");
    while (fgets(line, sizeof line, file)) {
        int n = sscanf(line, "%31s %lf %lf %lf %lf", word, &a, &b, &c, &d);
        if (n < 1 || word[0] == '#') continue;
        if (!strcmp(word, "disc") && n == 5 && disc_count < MAX_DISCS) {
            discs[disc_count].x = a, discs[disc_count].y = b;
            discs[disc_count].radius = c, discs[disc_count++].temperature = d;
        }
        else if (!strcmp(word, "width") && n >= 2) width = a;
        else if (!strcmp(word, "height") && n >= 2) height = a;
        else if (!strcmp(word, "diffusivity") && n >= 2) diffusivity = a;
        else if (!strcmp(word, "edge") && n >= 2) edge = a;
        else if (!strcmp(word, "seconds") && n >= 2) seconds = a;
        else if (!strcmp(word, "snapshots") && n >= 2) snapshots = (int)a;
        else die("a line of the plate's description makes no sense");
    }
    fclose(file);
    if (width < 2 || height < 2 || diffusivity <= 0 || seconds <= 0 || snapshots < 1)
        die("the plate's description is not complete");
}

static void heat_discs(double *t) {
    for (int n = 0; n < disc_count; n++)
        for (int j = 0; j < rows; j++)
            for (int i = 0; i < columns; i++) {
                double x = i * cell - discs[n].x, y = j * cell - discs[n].y;
                if (x * x + y * y <= discs[n].radius * discs[n].radius)
                    t[j * columns + i] = discs[n].temperature;
            }
}

/* The cells of the discs, so that a step need not look for them. */
static int *fixed;
static int fixed_count;

static void find_fixed(void) {
    double *mark = malloc(sizeof *mark * (size_t)columns * (size_t)rows);
    fixed = malloc(sizeof *fixed * (size_t)columns * (size_t)rows);
    if (!mark || !fixed) die("out of memory");
    for (int k = 0; k < columns * rows; k++) mark[k] = NAN;
    heat_discs(mark);
    for (int k = 0; k < columns * rows; k++)
        if (!isnan(mark[k])) fixed[fixed_count++] = k;
    free(mark);
}

static void step(const double *restrict old, double *restrict new, double factor) {
    for (int j = 1; j < rows - 1; j++) {
        const double *up = old + (j - 1) * columns, *at = up + columns, *down = at + columns;
        double *to = new + j * columns;
        for (int i = 1; i < columns - 1; i++)
            to[i] = at[i] + factor * (up[i] + down[i] + at[i - 1] + at[i + 1] - 4 * at[i]);
    }
    for (int n = 0; n < fixed_count; n++) new[fixed[n]] = old[fixed[n]];
}

static double at_mm(const double *t, double x, double y) {
    int i = (int)(x / cell + 0.5), j = (int)(y / cell + 0.5);
    if (i >= columns) i = columns - 1;
    if (j >= rows) j = rows - 1;
    return t[j * columns + i];
}

static uint32_t crc_of(uint32_t crc, const unsigned char *data, size_t size) {
    for (size_t n = 0; n < size; n++) {
        crc ^= data[n];
        for (int bit = 0; bit < 8; bit++) crc = crc & 1 ? 0xedb88320u ^ crc >> 1 : crc >> 1;
    }
    return crc;
}

static void put32(unsigned char *to, uint32_t value) {
    for (int n = 0; n < 4; n++) to[n] = (unsigned char)(value >> (24 - 8 * n));
}

static void chunk(FILE *file, const char *name, const unsigned char *data, size_t size) {
    unsigned char word[4];
    uint32_t crc = crc_of(0xffffffffu, (const unsigned char *)name, 4);
    put32(word, (uint32_t)size);
    fwrite(word, 1, 4, file);
    fwrite(name, 1, 4, file);
    fwrite(data, 1, size, file);
    put32(word, crc_of(crc, data, size) ^ 0xffffffffu);
    fwrite(word, 1, 4, file);
}

static unsigned char clamp(double value) {
    return (unsigned char)(value < 0 ? 0 : value > 255 ? 255 : value);
}

/* A PNG with a palette from black over red and yellow to white; its data is stored, not packed. */
static void picture(const char *name, const double *t) {
    int w = (int)width * PIXELS_PER_MM, h = (int)height * PIXELS_PER_MM;
    size_t line = (size_t)w + 1, raw = line * (size_t)h, size = 2;
    unsigned char header[13] = {0}, palette[768], *data = malloc(raw + 5 * (size_t)h + 16);
    uint32_t a = 1, b = 0;
    FILE *file = fopen(name, "wb");
    if (!file || !data || line > 65535) die("cannot write a picture");
    put32(header, (uint32_t)w), put32(header + 4, (uint32_t)h), header[8] = 8, header[9] = 3;
    for (int n = 0; n < 256; n++) {
        palette[3 * n] = clamp(3.0 * n);
        palette[3 * n + 1] = clamp(3.0 * n - 255);
        palette[3 * n + 2] = clamp(3.0 * n - 510);
    }
    data[0] = 0x78, data[1] = 0x01;
    for (int j = 0; j < h; j++) {
        unsigned char *to = data + size;
        to[0] = j == h - 1;
        to[1] = (unsigned char)(line & 255), to[2] = (unsigned char)(line >> 8);
        to[3] = (unsigned char)~to[1], to[4] = (unsigned char)~to[2], to[5] = 0;
        for (int i = 0; i < w; i++) {
            double value = at_mm(t, (double)i / PIXELS_PER_MM, (double)j / PIXELS_PER_MM);
            to[6 + i] = clamp(255 * (value - coldest) / (hottest - coldest));
        }
        for (size_t n = 0; n < line; n++) a = (a + to[5 + n]) % 65521, b = (b + a) % 65521;
        size += 5 + line;
    }
    put32(data + size, b << 16 | a);
    fwrite("\x89PNG\r\n\x1a\n", 1, 8, file);
    chunk(file, "IHDR", header, sizeof header);
    chunk(file, "PLTE", palette, sizeof palette);
    chunk(file, "IDAT", data, size + 4);
    chunk(file, "IEND", data, 0);
    if (fclose(file)) die("cannot write a picture");
    free(data);
}

static void snapshot(const char *name, const double *t) {
    FILE *file = fopen(name, "w");
    if (!file) die("cannot write a snapshot");
    for (int y = 0; y <= (int)height; y++)
        for (int x = 0; x <= (int)width; x++)
            fprintf(file, "%.2f%c", at_mm(t, x, y), x == (int)width ? '\n' : ',');
    if (fclose(file)) die("cannot write a snapshot");
}

static void draw(const double *t) {
    const char *shades = " .:-=+*#%@";
    for (double y = 0; y <= height; y += 5, putchar('\n'))
        for (double x = 0; x <= width; x += 2)
            putchar(shades[clamp(9.99 * (at_mm(t, x, y) - coldest) / (hottest - coldest))]);
}

int main(int count, char **words) {
    char name[64];
    if (count != 3 || (cell = atof(words[2])) <= 0) die("usage: heat PLATE CELL");
    read_plate(words[1]);
    columns = (int)(width / cell) + 1, rows = (int)(height / cell) + 1;
    size_t bytes = sizeof(double) * (size_t)columns * (size_t)rows;
    double *t = malloc(bytes), *next = malloc(bytes);
    if (!t || !next) die("out of memory");
    for (int k = 0; k < columns * rows; k++) t[k] = edge;
    heat_discs(t);
    find_fixed();
    memcpy(next, t, bytes);
    coldest = hottest = edge;
    for (int k = 0; k < columns * rows; k++) {
        if (t[k] < coldest) coldest = t[k];
        if (t[k] > hottest) hottest = t[k];
    }
    if (hottest - coldest < 1e-9) hottest = coldest + 1;

    mkdir("results", 0777), mkdir("results/snapshots", 0777), mkdir("results/pictures", 0777);
    FILE *summary = fopen("results/summary.csv", "w");
    if (!summary) die("cannot write the summary");
    fprintf(summary, "seconds,mean,lowest,highest\n");
    int per_snapshot = (int)ceil(seconds / snapshots / (0.9 * cell * cell / (4 * diffusivity)));
    double dt = seconds / snapshots / per_snapshot, factor = diffusivity * dt / (cell * cell);
    printf("%d x %d cells, %d steps of %.3g s\n", columns, rows, per_snapshot * snapshots, dt);
    for (int n = 1; n <= snapshots; n++) {
        for (int k = 0; k < per_snapshot; k++) {
            step(t, next, factor);
            double *swap = t;
            t = next, next = swap;
        }
        double now = seconds * n / snapshots, sum = 0, low = t[0], high = t[0];
        for (int k = 0; k < columns * rows; k++) {
            sum += t[k];
            if (t[k] < low) low = t[k];
            if (t[k] > high) high = t[k];
        }
        fprintf(summary, "%.2f,%.2f,%.2f,%.2f\n", now, sum / (columns * rows), low, high);
        snprintf(name, sizeof name, "results/snapshots/%05.2fs.csv", now);
        snapshot(name, t);
        snprintf(name, sizeof name, "results/pictures/%05.2fs.png", now);
        picture(name, t);
        printf("after %.2f s: %.1f degrees on average\n", now, sum / (columns * rows));
        fflush(stdout);
    }
    if (fclose(summary)) die("cannot write the summary");
    draw(t);
    return 0;
}
