"""The words of the synthetic city: what its twelve scenes are called, and what is typical of them.

Data only; `soundit_geo.synthetic_city.words` makes captions of it.
"""

from __future__ import annotations


def split_phrases(text: str) -> tuple[str, ...]:
    """Phrases between commas.

    Parameters
    ----------
    text : str
        Such as ``"swings, a duck pond"``; line breaks count as spaces.

    Returns
    -------
    tuple of str
        ``("swings", "a duck pond")``; nothing for an empty text.
    """
    return tuple(" ".join(phrase.split()) for phrase in text.split(",") if phrase.strip())


def _lines(text: str) -> tuple[str, ...]:
    """One prompt per line."""
    return tuple(line.strip() for line in text.strip().splitlines())


NAMES: dict[str, tuple[str, ...]] = {
    "street": split_phrases(
        """street, city street, avenue, boulevard, downtown street, main street, busy street,
        road between tall buildings, urban road, high street, shopping street, street canyon,
        tree-lined boulevard, avenue with cafés, avenue with cafes, street with shops, city road with buses,
        inner-city street, city centre street, city center street, narrow street between office blocks,
        street with traffic lights, street with parked cars, one-way street, urban street, metropolitan avenue,
        commercial street, street of shop windows, crossroads in the city, street corner downtown,
        pavement of a city street, sidewalk of a city street, road through the city centre,
        street with a zebra crossing, thoroughfare, street in the business district, street with a bus lane,
        street between apartment blocks, broad avenue, cobbled city street, downtown avenue, street with trams,
        town street, boulevard with shop fronts"""
    ),
    "residential_neighborhood": split_phrases(
        """residential neighborhood, residential street, suburb, suburban street, quiet road with houses,
        housing estate, neighbourhood of family houses, row of houses, quiet residential area,
        street of houses with gardens, suburban road, village street, residential neighbourhood,
        residential area, cul-de-sac with front gardens, cul-de-sac, cobbled lane between houses,
        terraced houses, detached houses, semi-detached houses, family homes with driveways, suburbia,
        leafy suburb, neighborhood of bungalows, street of cottages, housing development, garden suburb,
        lane with picket fences, row of cottages, houses with gabled roofs, dead-end road with family homes,
        houses with front yards, suburban neighborhood, suburban neighbourhood, commuter suburb,
        residential lane, residential road, street of bungalows, homes with porches, houses with hedges,
        quiet lane with cottages, dwellings along a quiet road"""
    ),
    "highway": split_phrases(
        """highway, motorway, freeway, expressway, multi-lane road, busy highway, dual carriageway, ring road,
        six-lane road, arterial road with fast traffic, interstate, autobahn, motorway with lorries,
        highway with trucks, eight-lane motorway, four-lane highway, toll road, bypass, trunk road,
        carriageway with guard rails, motorway junction, highway interchange, fast road with crash barriers,
        motorway slip road, highway ramp, turnpike, orbital motorway, beltway, superhighway,
        traffic jam on the motorway, lanes of fast cars, hard shoulder of a motorway, overpass over a freeway,
        autoroute, parkway with fast lanes, interstate with overhead signs, motorway under a sign gantry,
        express road, throughway, motorway in rush hour, highway shoulder, freeway with many lanes"""
    ),
    "plaza": split_phrases(
        """plaza, town square, square, piazza, pedestrian plaza, pedestrian zone, public square, paved square,
        city square with a fountain, car-free square, civic plaza, pedestrian area, city square, main square,
        cathedral square, town hall square, square in front of the city hall, forecourt of a station,
        old town square, square with benches, square with street lamps, plaza with a fountain,
        square with a statue, paved plaza, open square between buildings, central square, pedestrianised square,
        pedestrianized square, pedestrian precinct, piazza with a fountain, esplanade of paving stones,
        square where people meet, meeting place of the town, square with pigeons, stone-paved square,
        square around a monument, courtyard of the town hall, plaza mayor, public plaza, plaza with benches,
        urban square, square with a bell tower"""
    ),
    "park": split_phrases(
        """park, city park, public garden, green park, urban park, park with a pond, garden, lawn with trees,
        park with a path, pocket park, green space, botanical garden, public park, town park, municipal park,
        park with benches, park with lawns, landscaped garden, park with flower beds, park with a playground,
        playground in the park, garden with flower beds, garden with a duck pond, rose garden, park lawn,
        people's park, neighbourhood park, neighborhood park, english garden, park with old trees,
        park with winding paths, picnic lawn, grassy park, arboretum, garden with a gravel path, palace garden,
        public green, park bench under trees, park meadow with joggers, recreation ground, spa gardens,
        park with a bandstand"""
    ),
    "forest_path": split_phrases(
        """forest path, forest, woodland, trail in the woods, forest trail, wood, path between trees,
        woodland path, dense forest, footpath through a forest, hiking trail, grove, woods, pine forest,
        beech forest, track through the forest, trail under tall trees, trail among firs, spruce forest,
        coniferous forest, deciduous forest, walk in the woods, woodland trail, forest walk, path in the woods,
        shady forest path, narrow trail between trunks, old-growth forest, wooded trail, forest track,
        hiking path through woods, forest floor with ferns, mossy forest, oak wood, copse, thicket,
        muddy path through the woods, trees on both sides of a trail, forest clearing, nature trail in a forest,
        undergrowth beside a forest path, timberland"""
    ),
    "beach": split_phrases(
        """beach, sandy beach, seaside, sea shore, beach with waves, coast, seashore, sand and sea, ocean beach,
        bathing beach, shoreline, coastal beach, sandy cove, bay with sand, surf beach, beach with parasols,
        beach with sunshades, strand, holiday beach, tropical beach, shore of the ocean, waves on the sand,
        seaside resort beach, beach by the ocean, sea with breaking waves, sandy coast, sandy shore, beachfront,
        lido, pebble beach, beach with dunes, sand dunes by the sea, white sand beach, waterline of the sea,
        swimming beach, family beach, surf on the shore, sea and sand, cove with surf, long beach,
        seaside beach, beach at the edge of the sea"""
    ),
    "harbor": split_phrases(
        """harbor, harbour, port, marina, quay with boats, waterfront with cranes, docks, boat harbour,
        fishing port, harbour front, wharf, pier with sailing boats, fishing harbour with cranes,
        fishing harbor, harbor with cranes, harbor front, dockside, dockyard, shipyard, container port,
        container terminal, ferry terminal, yacht harbour, yacht marina, jetty with moored boats, seaport,
        port with ships, ships at the quay, boats moored at a pier, cargo port, sailing boats in a marina,
        quayside, harbour basin, harbor basin, cruise terminal, harbour with warehouses, port cranes and ships,
        quay wall with bollards, landing stage for ferries, boat dock, anchorage for yachts, old fishing quay"""
    ),
    "river": split_phrases(
        """river, riverside, river bank, river with a bridge, riverbank, waterway, stream,
        river between green banks, canal, riverfront, river walk, wide river, towpath along a canal,
        canal with a towpath, bank of a river, bridge over a river, stone bridge over a stream, brook, creek,
        river bend, river embankment, river promenade, footbridge over a brook, river valley, river path,
        flowing river, slow river, riverside walk, riverside path, green river bank, river through the city,
        lock on a canal, bend in the river, tributary, path beside a stream, river with willows, river crossing,
        arched bridge across a river, river meadows along the water, water flowing under a bridge, rivulet,
        canal bank"""
    ),
    "field/wild": split_phrases(
        """field, wild field, open field, meadow, farmland, grassland, countryside, pasture, open country,
        meadow with hills, prairie, rural field, wheat field, corn field, field of barley, hay meadow,
        flower meadow, wildflower meadow, ploughed field, plowed field, furrowed field, stubble field,
        fields and hedgerows, fields with a wooden fence, steppe, heath, moor, moorland, savanna, paddock,
        grazing land, agricultural land, arable land, crop field, open land under a wide sky, rolling fields,
        rural landscape, farm fields, country fields, alpine meadow, fallow land, field of rapeseed"""
    ),
    "market/outdoor": split_phrases(
        """outdoor market, market, street market, market stalls, farmers market, open-air market,
        market square with stalls, crowded market, food market, flea market, bazaar, market place,
        farmers' market, weekly market, vegetable market, fruit market, fish market, market day, marketplace,
        stalls with awnings, market with vendors, flower market, antiques market, souk,
        market hall in the open air, street vendors, rows of stalls, market stands, christmas market,
        fruit and vegetable stalls, traders at their stalls, craft market, jumble sale outdoors,
        village market, market street with stalls, busy bazaar, second-hand market, market booths,
        stall with fruit and vegetables, spice market, open-air bazaar"""
    ),
    "construction_site": split_phrases(
        """construction site, building site, construction, site with a crane, excavation, construction works,
        building under construction, crane and earthworks, roadworks, unfinished building, construction zone,
        demolition site, building works, construction area, building shell, concrete skeleton of a building,
        scaffolded building, scaffolding, excavation pit, foundation pit, earthworks, work site, worksite,
        site of a new building, construction project, shell of a house, bare concrete frame,
        half-built tower block, half-finished building, tower crane over a building site, excavators at work,
        diggers in the mud, construction fence, hoarding around a building site, road construction,
        construction yard, demolition works, concrete works, high-rise under construction, bulldozers at work,
        dug-up ground with machines, new building in its scaffolding"""
    ),
}
"""Some forty ways to name each scene; the first is the one used where a single name is wanted."""

NO_ARTICLE: frozenset[str] = frozenset(
    split_phrases(
        """crossroads in the city, terraced houses, detached houses, semi-detached houses,
        family homes with driveways, suburbia, houses with gabled roofs, houses with front yards,
        homes with porches, houses with hedges, dwellings along a quiet road, lanes of fast cars, spa gardens,
        woodland, woods, undergrowth beside a forest path, timberland, trees on both sides of a trail,
        seaside, sand and sea, waves on the sand, sand dunes by the sea, sea and sand, surf on the shore,
        docks, port cranes and ships, ships at the quay, boats moored at a pier, sailing boats in a marina,
        water flowing under a bridge, river meadows along the water, farmland, grassland, countryside,
        open country, fields and hedgerows, fields with a wooden fence, moorland, grazing land,
        agricultural land, arable land, open land under a wide sky, rolling fields, farm fields, country fields,
        fallow land, market stalls, stalls with awnings, street vendors, rows of stalls, market stands,
        fruit and vegetable stalls, traders at their stalls, market booths, construction, construction works,
        crane and earthworks, roadworks, building works, scaffolding, earthworks, excavators at work,
        diggers in the mud, road construction, demolition works, concrete works, bulldozers at work,
        dug-up ground with machines, people's park, plaza mayor"""
    )
)
"""Names that take no "a": plurals, and what cannot be counted."""

THINGS: dict[str, tuple[str, ...]] = {
    "street": split_phrases(
        """shop windows, traffic lights, parked cars, honking taxis, city buses, tram tracks, office workers,
        a zebra crossing, a bus stop, pavement cafés, department stores, neon signs, delivery vans, cyclists,
        skyscrapers, office blocks, apartment blocks, shoppers, double-decker buses, kerbs and gutters,
        a newspaper stand, taxis waiting at the lights, plane trees along the pavement, tall façades, sirens,
        a subway entrance, restaurants and bars, pedestrians crossing, banks and hotels, boutiques"""
    ),
    "residential_neighborhood": split_phrases(
        """front gardens, driveways, picket fences, garages, mailboxes, trimmed hedges, gabled roofs, porches,
        lawn mowers, children on bicycles, a barking dog behind a gate, family cars in the drive, chimneys,
        neighbours chatting over the fence, letter boxes, front doors, back yards, red-tiled roofs, bungalows,
        cottages, garden gates, a dog walker between houses, dustbins at the kerb, washing on the line, carports,
        a basketball hoop above the garage, window boxes, terraces of brick houses, semis with bay windows"""
    ),
    "highway": split_phrases(
        """lorries, six lanes, guard rails, crash barriers, overpasses, an overpass, speeding cars, road signs,
        sign gantries, a slip road, articulated trucks, tankers, hard shoulder, exit ramps, tailbacks,
        commuters stuck in traffic, headlights and tail lights, asphalt lanes, a central reservation, tyre noise,
        fast cars, a toll booth, rush-hour traffic, motorbikes overtaking, lane markings, juggernauts,
        noise barriers, a flyover, speed cameras, roaring engines"""
    ),
    "plaza": split_phrases(
        """pigeons, a fountain, paving stones, a statue, street musicians, tourists with cameras, café tables,
        a clock tower, steps of the town hall, a monument, children chasing pigeons, flagpoles, arcades,
        people sitting on steps, a cathedral, people crossing the square, lamp posts, buskers, cobblestones,
        an equestrian statue, tourists around a fountain, outdoor seating, flagstones, friends meeting,
        a bell tower, skateboarders on the steps, a carousel, a town hall, splashing fountain jets"""
    ),
    "park": split_phrases(
        """swings, a duck pond, joggers, flower beds, lawns, picnic blankets, a playground, slides and swings,
        ducks on a pond, park benches, dog walkers, children playing on the grass, squirrels, rose beds,
        frisbee players, sunbathers on the lawn, gravel paths, prams, shady old trees, feeding the ducks,
        a bandstand, mown grass, water lilies, a sandpit, a kite above the lawn, gardeners, a rowing pond, swans,
        people reading under a tree, tulips, seesaws, families having a picnic"""
    ),
    "forest_path": split_phrases(
        """tall trunks, ferns, moss, pine needles, fir trees, beeches and oaks, mushrooms, woodpeckers,
        hikers with rucksacks, undergrowth, a carpet of leaves, tree roots, deer, birdsong in the canopy,
        a fallen log, spruces, sunbeams through the leaves, a narrow trail, brambles, acorns, owls,
        a canopy of leaves, rustling leaves, tree stumps, bluebells under trees, bark and branches, a squirrel in a fir,
        foxes, trail markers, a logging track"""
    ),
    "beach": split_phrases(
        """waves, sand, parasols, sandcastles, sunbathers, surfers, seashells, bathing towels, dunes, deck chairs,
        swimmers, breaking surf, beach umbrellas, a lifeguard tower, foam, palm trees, sea breeze, seaweed,
        buckets and spades, the tide, volleyball players in the sand, paddling children, salt water, driftwood,
        beach balls, ocean spray, crabs and shells, sunshades, footprints in the sand, ice cream by the sea"""
    ),
    "harbor": split_phrases(
        """fishing boats, moored yachts, cranes, masts, containers, a ferry, seagulls, warehouses, a lighthouse,
        trawlers, bollards, fishing nets, cargo ships, sailing boats, ropes and anchors, a quay, ships' horns,
        tugboats, dock workers, jetties, lobster pots, clinking halyards, a pier, a slipway, freighters, sailors,
        gulls over the masts, a breakwater, crates of fish, an ocean liner"""
    ),
    "river": split_phrases(
        """a stone bridge, flowing water, reeds, willows, a towpath, river barges, swans on the current,
        a weir, rowers, anglers on the bank, a footbridge, canoes, kayaks, a ferry across the stream, banks,
        narrowboats, ripples and eddies, a lock gate, herons, a rushing current, bridge arches, riverboats,
        stepping stones, a watermill, fishermen with rods, an embankment, a rowing crew, kingfishers, rapids,
        trout"""
    ),
    "field/wild": split_phrases(
        """wheat, grazing cows, hedgerows, tall grass, wildflowers, hay bales, furrows, a tractor, sheep,
        rolling hills, larks, crickets, a wooden fence, corn, barley, poppies, a farmhouse far away, crops,
        grazing horses, a barn, haystacks, sunflowers, a scarecrow, grasshoppers, ploughed soil, distant hills,
        cattle, a wide horizon, swaying grass, a herd of goats"""
    ),
    "market/outdoor": split_phrases(
        """stalls, vendors, vegetables, awnings, fruit, baskets, crates of apples, spices, cheese, bargain hunters,
        traders shouting prices, striped awnings, shoppers with bags, fishmongers, fresh bread, haggling,
        flowers in buckets, second-hand goods, tomatoes and onions, olives, scales and weights, crowds at the stalls,
        honey and jam, sausages, herbs, antiques, clothes racks, food stands, oranges, merchants"""
    ),
    "construction_site": split_phrases(
        """scaffolding, an excavator, a cement mixer, hard hats, a tower crane, bulldozers, jackhammers, diggers,
        concrete pillars, builders, steel beams, dump trucks, piles of gravel, heaps of earth, rubble, drills,
        site fences, bricklayers, warning tape, bare concrete floors, welders, reinforcing bars, bricks,
        workmen in high-visibility vests, a pile driver, a wrecking ball, portable cabins, hammering, girders,
        a deep pit"""
    ),
}
"""Some thirty things typical of each scene.

They are associations, words that go with the scene: a caption made of them names the kind of place, and does not
claim that the picture shows them.
"""

UNSEEN: dict[str, tuple[str, ...]] = {
    "street": _lines(
        """
        taxis queue outside department stores
        shoppers hurrying past neon signs downtown
        an avenue lined with offices and cafés
        buses and bicycles squeezed between tall façades
        the heart of manhattan with yellow cabs
        waiting for the green light at a zebra crossing
        a tram rattles past boutiques and hotels
        people strolling along the pavement, looking into shop windows
        city centre road full of buses and taxis
        rows of parked cars beneath office towers
        a cyclist weaves through the traffic of the inner city
        skyscrapers rising on both sides of the road
        sidewalk with restaurants and a subway entrance
        delivery vans block the bus lane
        a kerb, a bus stop, a row of shops
        pedestrians cross between honking taxis
        urban canyon of glass and concrete towers
        walking past banks and bars in the business district
        """
    ),
    "residential_neighborhood": _lines(
        """
        kids ride bicycles past driveways and hedges
        little houses, each with its own garden
        where families live behind picket fences
        mowing the lawn in front of a bungalow
        a cosy lane of brick cottages
        neighbours greet each other over the garden gate
        a dead-end road with garages and mailboxes
        gabled roofs and chimneys in the suburbs
        a row of terraced homes with red-tiled roofs
        bungalows with porches and trimmed hedges
        sleepy suburb where a dog barks
        semi-detached homes with bay windows and driveways
        family car parked in front of the garage
        quiet homes with front yards and letter boxes
        detached cottages along a lane
        dustbins stand in front of terraced houses
        a housing estate with carports and back yards
        village houses with window boxes and garden fences
        """
    ),
    "highway": _lines(
        """
        six lanes of commuters at rush hour
        lorries thunder beneath the overpass
        speeding past the exit ramp
        trucks and cars racing along the asphalt
        stuck in a tailback on the interstate
        guard rails, sign gantries and fast traffic
        articulated trucks overtaking each other
        a flyover above eight lanes
        engines roaring behind the crash barrier
        the drive from one city to the next on the autobahn
        cars queue at the toll booth
        an endless column of headlights on the freeway
        motorbikes and tankers in the fast lane
        merging from the slip road
        breakdown on the hard shoulder
        asphalt with lane markings and overhead road signs
        juggernauts rumbling along the bypass
        speed cameras over the carriageway
        """
    ),
    "plaza": _lines(
        """
        tourists gather around the fountain
        pigeons on the paving stones
        buskers play beneath the clock tower
        café tables set out before the cathedral
        friends meet on the steps of the town hall
        a statue in the middle of the square
        a place paved with flagstones where nobody drives
        children chase pigeons around a monument
        wide pedestrian space between old arcades
        old arcades and lamp posts around a bell tower
        people sit on benches around the splashing fountain
        italian piazza with outdoor seating
        crowds crossing the main square on foot
        street musicians and a carousel on the town square
        skateboarders beside the equestrian statue
        flagpoles in front of the city hall
        an open paved space with a monument and benches
        tourists taking pictures of the cathedral steps
        """
    ),
    "park": _lines(
        """
        kids playing between swings and flower beds
        joggers circle the duck pond
        having a picnic on the lawn
        ducks, swans and water lilies
        mums with prams on gravel paths
        mown grass, tulips and benches under old trees
        a game of frisbee on the grass
        reading on a bench beneath a shady tree
        squirrels running across the lawn
        roses in bloom beside a gravel path
        the green lung of the town with slides and seesaws
        families on picnic blankets near the playground
        dog walkers and joggers on winding paths
        children feed ducks at the pond
        gardeners watering the flower beds
        a sandpit and swings for the little ones
        flying a kite above mown lawns
        music at the bandstand among rose beds
        """
    ),
    "forest_path": _lines(
        """
        hikers follow a trail under tall firs
        moss, ferns and fallen logs
        a walk among spruces and pines
        sunbeams falling through the canopy
        deer hiding in the undergrowth
        picking mushrooms between the trunks
        a narrow track covered with pine needles
        woodpeckers knocking on old oaks
        lost in the deep dark woods
        tree roots cross the muddy trail
        rustling leaves beneath beeches
        nothing but trunks and ferns around me
        an owl calls from the branches of a spruce
        backpackers walking beneath a canopy of leaves
        trail markers on the bark of fir trees
        brambles and stumps along a logging track
        a carpet of bluebells in the wood
        fir trees, moss and a squirrel
        """
    ),
    "beach": _lines(
        """
        waves breaking on the sand
        children build sandcastles with buckets and spades
        sunbathers lying under parasols
        surfers waiting for a wave
        seashells and seaweed along the tide line
        swimming in the ocean on holiday
        deck chairs facing the surf
        barefoot footprints along the waterline
        a lifeguard watches the swimmers
        palm trees, white sand and salt water
        the breeze blows over the dunes and the sea
        beach umbrellas and bathing towels in the sand
        playing volleyball in the sand by the sea
        foam and driftwood washed ashore
        paddling in the surf with a beach ball
        the mediterranean coast in summer with sunshades
        ocean spray over a sandy bay
        collecting shells at low tide
        """
    ),
    "harbor": _lines(
        """
        fishing trawlers moored at the pier
        yachts with tall masts in the marina
        cranes load containers onto a freighter
        seagulls scream above the fishing boats
        the ferry leaves the quay
        sailors mend their nets on the jetty
        cargo ships waiting behind the breakwater
        tugboats pull an ocean liner
        ropes, anchors and bollards on the wharf
        crates of fish beside lobster pots
        dock workers unloading a vessel
        masts clinking in a row of sailing boats
        a lighthouse guards the ships at anchor
        warehouses and cranes along the dock
        boats tied to the jetty
        a ship blows its horn near the container terminal
        sailing yachts and trawlers side by side
        gulls circle a slipway with boats
        """
    ),
    "river": _lines(
        """
        water flows beneath a stone bridge
        rowers glide past willows
        anglers sit among the reeds on the bank
        barges and narrowboats on the canal
        a heron stands in the current
        kayaks shooting the rapids
        cycling along the towpath beside the water
        the thames embankment
        a stream rushing over the weir
        canoes drifting under bridge arches
        crossing the brook on stepping stones
        a footbridge above rippling water
        trout swimming in a creek
        swans float downstream past the lock gate
        fishermen with rods waiting by the stream
        green banks on either side of flowing water
        a watermill turning in the current
        riverboats pass under the bridge
        """
    ),
    "field/wild": _lines(
        """
        cows graze behind a wooden fence
        wheat swaying to the horizon
        a tractor ploughs the furrows
        hay bales scattered over rolling hills
        poppies and wildflowers in tall grass
        crickets and larks, nothing but grass
        sheep on a hillside pasture
        golden barley and corn
        miles of crops and hedgerows
        a lonely barn and grazing horses
        sunflowers as far as the eye can see
        the farmer harvests his wheat
        cattle and goats on open grassland
        a scarecrow among the corn
        empty prairie with distant hills
        haystacks on a mown meadow
        ploughed soil and a farmhouse
        grasshoppers jumping in a wildflower meadow
        """
    ),
    "market/outdoor": _lines(
        """
        vendors sell vegetables under striped awnings
        stalls piled with apples and oranges
        haggling over spices and olives
        traders shout the price of fish
        buying fresh bread and cheese from a stand
        baskets of tomatoes, onions and herbs
        bargain hunters search through antiques
        a merchant weighs fruit on his scales
        shoppers carry bags of vegetables between stalls
        second-hand clothes on racks and tables
        honey, jam and sausages from local farmers
        buckets of flowers for sale
        crates of oranges and a crowd of buyers
        fishmongers behind their stands
        moroccan souk with spice merchants
        saturday morning, everyone shopping at the stalls
        food stands and vendors with baskets
        awnings over tables of cheese and olives
        """
    ),
    "construction_site": _lines(
        """
        scaffolding and cement mixers
        an excavator digs a deep pit
        workmen with hard hats pouring concrete
        bulldozers push heaps of earth
        jackhammers and drills all day long
        a tower crane lifts steel beams
        bricklayers building a wall
        dump trucks carry away the rubble
        diggers behind a site fence
        reinforcing bars stick out of concrete pillars
        they are building a new high-rise here
        girders and bricks next to a heap of gravel
        builders hammering on the scaffolding
        a wrecking ball tears down the old factory
        welders on bare concrete floors
        warning tape around an open trench
        portable cabins beside a pile driver
        men in high-visibility vests next to a digger
        """
    ),
}
"""Free English prompts as a user would type them, kept out of every caption: they measure what was understood."""
